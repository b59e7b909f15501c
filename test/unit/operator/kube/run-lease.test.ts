import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  currentLeases,
  leaseName,
  leaseObject,
  leasePrefix,
  runLease,
} from '../../../../operator/kube/run-lease.ts';

const now = Date.UTC(2026, 0, 1);
const lease = { run: 'grpo-1', models: ['rl/a', 'rl/b'], expiresAt: now + 60_000 };

describe('leaseObject', () => {
  it('is read back as the lease that it was made from', () => {
    assert.deepEqual(runLease(leaseObject(lease, now)), lease);
  });

  it('has a name that the API server takes, another one for another run', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        assert.match(leaseName(a), /^[a-z0-9-]{1,63}$/);
        assert.ok(leaseName(a).startsWith(leasePrefix));
        assert.equal(leaseName(a) === leaseName(b), a === b);
      }),
    );
  });
});

describe('runLease', () => {
  it('finds nothing in an object that says not enough', () => {
    const { metadata, spec } = leaseObject(lease, now);

    assert.equal(runLease({ metadata, spec: { ...spec, renewTime: undefined } }), undefined);
    assert.equal(runLease({ metadata, spec: { ...spec, holderIdentity: '' } }), undefined);
    assert.deepEqual(runLease({ spec })?.models, []);
  });
});

describe('currentLeases', () => {
  it('leaves out those whose time is over', () => {
    const objects = [leaseObject(lease, now), leaseObject({ ...lease, run: 'a' }, now + 1000)];

    const at = (ms: number) => currentLeases(objects, now + ms).map(({ run }) => run);

    assert.deepEqual([at(59_999), at(60_000), at(61_000)], [['a', 'grpo-1'], [], []]);
  });
});
