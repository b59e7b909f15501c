import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Changes } from '../../../../../server/changes.ts';
import { Budget } from '../../../../../server/model/cache/budget.ts';
import type { Resident } from '../../../../../server/model/cache/eviction.ts';
import { forever, gone, host } from '../../../../support/cache-kit.ts';
import { FakeClock, settle } from '../../../../support/clock.ts';
import { catalogModel } from '../../../../support/server-kit.ts';

/** A budget whose residents a test adds and lets go. */
function world() {
  const clock = new FakeClock();
  const changes = new Changes();
  const residents = new Set<Resident>();
  const budget = new Budget<Resident>({
    limits: { maxModels: 9, memory: { host: 100, device: 50 } },
    roomTimeoutMs: 60_000,
    clock,
    residents: () => [...residents],
    changes,
    evict: async (victims) => {
      for (const victim of victims) residents.delete(victim);
    },
  });
  const add = (bytes: number, isEvictable: boolean) => {
    const resident = { bytes: host(bytes), isEvictable };
    residents.add(resident);
    return resident;
  };
  const reserve = (bytes: number, signal = forever) =>
    budget.reserve(
      catalogModel('rl/a'),
      { bytes: host(bytes), take: () => void add(bytes, false) },
      signal,
    );
  const leave = (resident: Resident) => {
    residents.delete(resident);
    changes.notify();
  };
  return { clock, budget, residents, add, reserve, leave };
}

describe('Budget', () => {
  it('refuses what can never fit with the numbers and the remedy', () => {
    const { budget } = world();
    const model = catalogModel('rl/a', { quantization: 'Int8' });

    budget.admit(model, { host: 100, device: 50 });
    assert.throws(() => budget.admit(model, host(101)), {
      code: 'MODEL_TOO_LARGE',
      message: /"rl\/a".*\(101 bytes\) of host memory.*\(100 bytes\).*GPUClass.*Int8/,
    });
    assert.throws(() => budget.admit(model, { host: 0, device: 51 }), {
      message: /\(51 bytes\) of device memory.*\(50 bytes\).*maxBatchTokens/,
    });
  });

  it('makes room by evicting no more than it must', async () => {
    const { add, reserve, residents } = world();
    const [old, young] = [add(40, true), add(60, true)];

    await reserve(30);

    assert.ok(!residents.has(old));
    assert.ok(residents.has(young));
  });

  it('serves reservations in order: a small one does not take what a large one waits for', async () => {
    const { add, reserve, residents, leave } = world();
    const used = add(80, false);

    const large = reserve(90);
    const small = reserve(20);
    await settle();
    assert.equal(residents.size, 1);
    leave(used);
    await large;

    assert.deepEqual(
      [...residents].map(({ bytes }) => bytes.host),
      [90],
    );
    leave([...residents][0] ?? used);
    await small;
  });

  it('goes on with the next one when one gives up', async () => {
    const { add, reserve } = world();
    add(80, false);
    const client = new AbortController();

    const large = assert.rejects(reserve(90, client.signal), gone);
    const small = reserve(20);
    await settle();
    client.abort(gone);

    await large;
    await small;
  });

  it('says CACHE_FULL after a while', async () => {
    const { add, clock, reserve } = world();
    add(80, false);

    const full = assert.rejects(reserve(90), { code: 'CACHE_FULL' });
    await clock.step(60_000);

    await full;
    assert.equal(clock.pending, 0);
  });
});
