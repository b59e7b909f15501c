// What docs/security.md promises of the rights that the chart gives.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { rightsOfChart } from '../../scripts/rights.ts';

const rights = rightsOfChart();
const rules = rights.flatMap((one) => one.rules);

describe('the rights that the chart gives', () => {
  it('are all read: three scopes each for operator and gateway', () => {
    const text = readFileSync('charts/refmodel/templates/_rights.tpl', 'utf8');

    assert.equal(rights.length, 6);
    assert.equal(rights.length, text.match(/^\{\{- define /gm)?.length);
  });

  it('have no wildcard', () => {
    const words = rules.flatMap((rule) => [...rule.apiGroups, ...rule.resources, ...rule.verbs]);

    assert.deepEqual(
      words.filter((word) => word.includes('*')),
      [],
    );
  });

  it('reach no Secret and make no pod', () => {
    assert.ok(rules.every(({ resources }) => !resources.includes('secrets')));
    assert.ok(
      rules.every(
        ({ resources, verbs }) => !resources.includes('pods') || !verbs.includes('create'),
      ),
    );
  });

  it('let the gateway write nothing but scale and leases; reviews are questions', () => {
    const written = rights
      .filter(({ account }) => account === 'gateway')
      .flatMap((one) => one.rules)
      .filter(({ verbs }) => verbs.some((verb) => !['get', 'list', 'watch'].includes(verb)))
      .flatMap(({ resources }) => resources);

    assert.deepEqual(written.sort(), [
      'deployments/scale',
      'leases',
      'subjectaccessreviews',
      'tokenreviews',
    ]);
  });
});
