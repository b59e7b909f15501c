import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { planEviction } from '../../../../../server/model/cache/eviction.ts';
import type { Bytes } from '../../../../../server/model/memory.ts';

const host = (bytes: number): Bytes => ({ host: bytes, device: 0 });
const limits = { maxModels: 3, memory: { host: 100, device: 100 } };
const resident = (name: string, bytes: number, isEvictable = true) => ({
  name,
  bytes: host(bytes),
  isEvictable,
});

describe('planEviction', () => {
  const cases = [
    { name: 'nothing when there is room', residents: [resident('a', 50)], bytes: 50, want: [] },
    {
      name: 'the least recently used one when the count is full',
      residents: [resident('a', 1), resident('b', 1), resident('c', 1)],
      bytes: 1,
      want: ['a'],
    },
    {
      name: 'as many as the bytes need',
      residents: [resident('a', 40), resident('b', 40)],
      bytes: 90,
      want: ['a', 'b'],
    },
    {
      name: 'none that the bytes do not need',
      residents: [resident('small', 5), resident('large', 80)],
      bytes: 60,
      want: ['large'],
    },
    {
      name: 'the next one when the least recently used is in use',
      residents: [resident('a', 50, false), resident('b', 50)],
      bytes: 50,
      want: ['b'],
    },
    {
      name: 'no choice, and no pointless one, when what is in use holds the rest',
      residents: [resident('a', 10), resident('b', 80, false)],
      bytes: 30,
      want: undefined,
    },
  ];
  for (const { name, residents, bytes, want } of cases) {
    it(`plans ${name}`, () => {
      const victims = planEviction(residents, host(bytes), limits);

      assert.deepEqual(victims?.map((victim) => victim.name).sort(), want);
    });
  }

  it('makes room exactly when evicting all that can go would', () => {
    const anyBytes = fc.record({ host: fc.nat(100), device: fc.nat(100) });
    const anyResident = fc.record({ bytes: anyBytes, isEvictable: fc.boolean() });
    fc.assert(
      fc.property(fc.array(anyResident, { maxLength: 6 }), anyBytes, (residents, bytes) => {
        const fits = (kept: readonly { bytes: Bytes }[]) =>
          kept.length < limits.maxModels &&
          kept.reduce((sum, r) => sum + r.bytes.host, bytes.host) <= 100 &&
          kept.reduce((sum, r) => sum + r.bytes.device, bytes.device) <= 100;

        const victims = planEviction(residents, bytes, limits);

        assert.equal(victims !== undefined, fits(residents.filter((r) => !r.isEvictable)));
        if (!victims) return;
        assert.ok(fits(residents.filter((r) => !victims.includes(r))));
        for (const victim of victims) {
          assert.ok(victim.isEvictable);
          assert.ok(!fits(residents.filter((r) => r === victim || !victims.includes(r))));
        }
      }),
    );
  });
});
