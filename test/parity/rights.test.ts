// What docs/security.md promises of the roles of the chart.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { rolesOfChart } from '../../scripts/rights.ts';

const roles = rolesOfChart();
const rules = roles.flatMap((role) => role.rules);

describe('the roles of the chart', () => {
  it('are all read: each kind once for operator and gateway', () => {
    const text = readFileSync('charts/refmodel/templates/rbac.yaml', 'utf8');

    assert.equal(roles.length, text.match(/^kind: (Cluster)?Role$/gm)?.length);
    assert.deepEqual(
      roles.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort(),
      ['ClusterRole', 'Role'].flatMap((kind) =>
        ['gateway', 'operator'].map((name) => `${kind} refmodel-${name}`),
      ),
    );
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

  it('let the gateway write nothing but scale and leases', () => {
    const written = roles
      .filter(({ metadata }) => metadata.name === 'refmodel-gateway')
      .flatMap((role) => role.rules)
      .filter(({ verbs }) => verbs.some((verb) => !['get', 'list', 'watch'].includes(verb)))
      .flatMap(({ resources }) => resources);
    assert.deepEqual(written, ['deployments/scale', 'leases']);
  });
});
