import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { progressBar } from '../../../../server/offline/progress.ts';

describe('progressBar', () => {
  it('is a bar on a terminal', () => {
    const texts: string[] = [];
    const show = progressBar((text) => texts.push(text), true);

    show({ lines: 3, share: 0.5 });

    assert.match(texts[0] ?? '', /^\r\[={15} {15}\] 50 %, 3 lines$/);
  });

  it('is a line a percent elsewhere', () => {
    const texts: string[] = [];
    const show = progressBar((text) => texts.push(text), false);

    for (const share of [0.5, 0.501, 0.502, 1]) show({ lines: 3, share });

    assert.deepEqual(texts, ['50 %, 3 lines\n', '100 %, 3 lines\n']);
  });
});
