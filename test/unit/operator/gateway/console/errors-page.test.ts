import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errorKinds } from '../../../../../common/errors.ts';
import { errorsPage } from '../../../../../operator/gateway/console/errors-page.ts';

describe('the page of error codes', () => {
  it('has a place for each code that a link can lead to', () => {
    const page = errorsPage();

    for (const code of Object.keys(errorKinds)) assert.ok(page.includes(`id="${code}"`), code);
  });

  it('puts texts in as texts', () => {
    const [, body = ''] = errorsPage().split('<main>');
    const tags = new Set([...body.matchAll(/<\/?(\w+)/g)].map(([, tag]) => tag));

    assert.deepEqual(tags, new Set(['body', 'dd', 'dl', 'dt', 'html', 'main', 'p']));
    assert.match(body, /&quot;/);
  });
});
