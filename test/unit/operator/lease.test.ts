import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isCurrent, leasedModels } from '../../../operator/lease.ts';

const lease = { run: 'grpo-1', models: ['rl/a', 'rl/b'], expiresAt: 1000 };

describe('isCurrent', () => {
  it('is over at the end of the term', () => {
    assert.deepEqual([isCurrent(lease, 999), isCurrent(lease, 1000)], [true, false]);
  });
});

describe('leasedModels', () => {
  it('is what any run wants warm', () => {
    const other = { ...lease, run: 'b', models: ['rl/b', 'rl/c'] };

    assert.deepEqual([...leasedModels([lease, other])], ['rl/a', 'rl/b', 'rl/c']);
  });
});
