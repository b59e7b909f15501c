import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../../common/errors.ts';
import { Hold, type HoldRequest } from '../../../../operator/gateway/hold.ts';
import { settle } from '../../../support/clock.ts';

const never = new AbortController().signal;
const limits = { maxRequests: 3, maxBytes: 100 };
const nothing = () => undefined;
const roomy = { maxRequests: 1000, maxBytes: 1e9 };
/** Of one caller, and in the way of nobody. */
const wish = <T>(request: Partial<HoldRequest<T>> & Pick<HoldRequest<T>, 'attempt'>) => ({
  key: 'a',
  caller: 'run-1',
  bytes: 1,
  limits: roomy,
  ...request,
});

describe('Hold', () => {
  it('gives at once what is there, without queueing', async () => {
    const hold = new Hold(limits);

    const value = await hold.take(wish({ attempt: () => 'here' }), never);

    assert.equal(value, 'here');
    assert.equal(hold.count, 0);
  });

  it('rejects the fourth waiter with QUEUE_FULL and keeps the three', async () => {
    const hold = new Hold(limits);
    for (let i = 0; i < 3; i++) void hold.take(wish({ attempt: nothing }), never);

    await assert.rejects(hold.take(wish({ key: 'b', bytes: 1, attempt: nothing }), never), {
      code: 'QUEUE_FULL',
    });

    assert.equal(hold.count, 3);
  });

  it('rejects with QUEUE_FULL what would hold more bytes than allowed', async () => {
    const hold = new Hold(limits);
    void hold.take(wish({ key: 'a', bytes: 60, attempt: nothing }), never);

    await assert.rejects(hold.take(wish({ key: 'a', bytes: 41, attempt: nothing }), never), {
      code: 'QUEUE_FULL',
    });

    assert.equal(hold.bytes, 60);
  });

  it('lets a full queue pass what needs no waiting', async () => {
    const hold = new Hold({ maxRequests: 0, maxBytes: 0 });

    assert.equal(await hold.take(wish({ key: 'a', bytes: 9, attempt: () => 1 }), never), 1);
  });

  it('releases the waiters of one key in order of arrival and leaves the others', async () => {
    const hold = new Hold(limits);
    let isOpen = false;
    const order: number[] = [];
    const waiter = (key: string, id: number) =>
      hold
        .take(wish({ key, attempt: () => (isOpen ? id : undefined) }), never)
        .then((value) => order.push(value));
    const released = [waiter('a', 1), waiter('a', 2)];
    void waiter('b', 3);

    isOpen = true;
    hold.recheck('a');
    await Promise.all(released);

    assert.deepEqual(order, [1, 2]);
    assert.deepEqual(hold.keys(), ['b']);
  });

  it('drops an aborted waiter with the reason of its signal', async () => {
    const hold = new Hold(limits);
    const gone = new AbortController();
    const waiting = hold.take(wish({ key: 'a', bytes: 7, attempt: nothing }), gone.signal);

    gone.abort(new Error('client gone'));

    await assert.rejects(waiting, /client gone/);
    assert.deepEqual([hold.count, hold.bytes, hold.keys().length], [0, 0, 0]);
  });

  it('does not queue for a signal that has fired', async () => {
    const hold = new Hold(limits);

    await assert.rejects(
      hold.take(wish({ attempt: nothing }), AbortSignal.abort(new Error('late'))),
      /late/,
    );
    assert.equal(hold.count, 0);
  });

  it('rejects a waiter whose attempt gives up, and goes on with the next', async () => {
    const hold = new Hold(limits);
    let isRefused = false;
    const refused = hold.take(
      wish({
        attempt: () => {
          if (isRefused) throw new AppError('MODEL_NOT_FOUND', 'gone');
          return undefined;
        },
      }),
      never,
    );
    let isOpen = false;
    const served = hold.take(wish({ attempt: () => isOpen || undefined }), never);

    isRefused = isOpen = true;
    hold.recheck('a');

    await assert.rejects(refused, { code: 'MODEL_NOT_FOUND' });
    assert.equal(await served, true);
  });

  it('leaves no listener on a signal that outlives many waiters', async () => {
    const hold = new Hold({ maxRequests: 10, maxBytes: 10 });
    const longLived = new CountingSignal();
    let isOpen = false;

    for (let i = 0; i < 1000; i++) {
      isOpen = false;
      const waiting = hold.take(wish({ attempt: () => isOpen || undefined }), longLived.signal);
      isOpen = true;
      hold.recheck('a');
      await waiting;
    }

    assert.equal(longLived.listeners, 0);
    assert.deepEqual([hold.count, hold.bytes, hold.keys().length], [0, 0, 0]);
  });

  it('makes room for a caller with less, by the newest of the caller with most', async () => {
    const hold = new Hold(roomy);
    const greedy = Array.from({ length: 3 }, () =>
      hold.take(wish({ caller: 'greedy', limits, attempt: nothing }), never),
    );

    void hold.take(wish({ caller: 'modest', limits, attempt: nothing }), never);

    await assert.rejects(async () => greedy[2], { code: 'QUEUE_FULL' });
    assert.equal(hold.held('a'), 3);
  });

  it('bounds each key by its own limits, and all keys by those of the process', async () => {
    const hold = new Hold(limits);
    const tight = { maxRequests: 1, maxBytes: 100 };
    void hold.take(wish({ limits: tight, attempt: nothing }), never);

    const refused = hold.take(wish({ limits: tight, attempt: nothing }), never);
    void hold.take(wish({ key: 'b', attempt: nothing }), never);

    await assert.rejects(refused, { code: 'QUEUE_FULL' });
    assert.deepEqual(hold.keys(), ['a', 'b']);
  });

  it('keeps its bounds, loses nobody and is fair, in any interleaving', async () => {
    const key = fc.constantFrom('a', 'b');
    const operation = fc.oneof(
      fc.record({
        kind: fc.constant('arrive' as const),
        key,
        caller: fc.constantFrom('run-1', 'run-2', 'run-3'),
        bytes: fc.integer({ min: 0, max: 40 }),
      }),
      fc.record({ kind: fc.constant('abort' as const), nth: fc.nat(20) }),
      fc.record({
        kind: fc.constant('supply' as const),
        key,
        permits: fc.integer({ min: 1, max: 3 }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 60 }), async (operations) => {
        const run = new Run(new Hold(total));
        for (const step of operations) {
          run[step.kind](step as never);
          await settle();
          run.check();
        }
        await run.finish();
      }),
      { numRuns: 300 },
    );
  });
});

const total = { maxRequests: 6, maxBytes: 150 };
const ofKey = { maxRequests: 4, maxBytes: 100 };

interface Arrival {
  key: string;
  caller: string;
  bytes: number;
  controller: AbortController;
  outcome: 'waiting' | 'served' | 'full' | 'aborted';
  /** How often each other caller was served while this one waited at the head of its own. */
  passedBy: Map<string, number>;
  settled: Promise<void>;
}

/** Permits come and are taken one per waiter; what must hold is checked after each step. */
class Run {
  readonly #hold: Hold;
  readonly #permits = new Map<string, number>();
  readonly #arrivals: Arrival[] = [];

  constructor(hold: Hold) {
    this.#hold = hold;
  }

  arrive({ key, caller, bytes }: { key: string; caller: string; bytes: number }): void {
    const controller = new AbortController();
    const arrival: Arrival = {
      key,
      caller,
      bytes,
      controller,
      outcome: 'waiting',
      passedBy: new Map(),
      settled: Promise.resolve(),
    };
    const attempt = () => {
      const permits = this.#permits.get(key) ?? 0;
      if (permits === 0) return undefined;
      this.#permits.set(key, permits - 1);
      this.#serve(arrival);
      return true;
    };
    const { signal } = controller;
    this.#arrivals.push(arrival);
    arrival.settled = this.#hold.take({ key, caller, bytes, limits: ofKey, attempt }, signal).then(
      () => assert.equal(arrival.outcome, 'served'),
      (err: unknown) => {
        assert.equal(arrival.outcome, 'waiting');
        const isFull = err instanceof AppError && err.code === 'QUEUE_FULL';
        arrival.outcome = isFull ? 'full' : 'aborted';
        assert.ok(isFull || signal.aborted, 'left without a reason');
      },
    );
  }

  abort({ nth }: { nth: number }): void {
    this.#arrivals[nth]?.controller.abort(new Error('aborted'));
  }

  supply({ key, permits }: { key: string; permits: number }): void {
    this.#permits.set(key, (this.#permits.get(key) ?? 0) + permits);
    this.#hold.recheck(key);
  }

  check(): void {
    for (const [key, limits] of [
      ['a', ofKey],
      ['b', ofKey],
      ['', total],
    ] as const) {
      const waiting = this.#waiting(({ key: its }) => key === '' || its === key);
      const bytes = waiting.reduce((sum, arrival) => sum + arrival.bytes, 0);
      assert.equal(key === '' ? this.#hold.count : this.#hold.held(key), waiting.length);
      assert.ok(waiting.length <= limits.maxRequests && bytes <= limits.maxBytes, 'over capacity');
    }
    for (const { key, passedBy } of this.#waiting(() => true)) {
      assert.equal(this.#permits.get(key) ?? 0, 0, 'waits although there is a permit');
      assert.ok(Math.max(0, ...passedBy.values()) <= 1, 'another caller had two turns meanwhile');
    }
  }

  async finish(): Promise<void> {
    for (const key of ['a', 'b']) this.supply({ key, permits: 100 });
    await Promise.all(this.#arrivals.map(({ settled }) => settled));
    assert.deepEqual([this.#hold.count, this.#hold.bytes, this.#hold.keys().length], [0, 0, 0]);
    assert.ok(this.#arrivals.every(({ outcome }) => outcome !== 'waiting'));
  }

  #waiting(test: (arrival: Arrival) => boolean): Arrival[] {
    return this.#arrivals.filter((arrival) => arrival.outcome === 'waiting' && test(arrival));
  }

  #serve(arrival: Arrival): void {
    const { key, caller } = arrival;
    const [first] = this.#waiting((other) => other.key === key && other.caller === caller);
    assert.equal(first, arrival, 'a later one of the same caller was served first');
    arrival.outcome = 'served';
    const heads = new Map<string, Arrival>();
    for (const other of this.#waiting((waiting) => waiting.key === key)) {
      if (!heads.has(other.caller)) heads.set(other.caller, other);
    }
    for (const [other, { passedBy }] of heads) {
      if (other !== caller) passedBy.set(caller, (passedBy.get(caller) ?? 0) + 1);
    }
  }
}

/** Counts the listeners of its signal. */
class CountingSignal {
  readonly signal = new AbortController().signal;
  listeners = 0;

  constructor() {
    const { signal } = this;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      this.listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      this.listeners -= 1;
      remove(...args);
    };
  }
}
