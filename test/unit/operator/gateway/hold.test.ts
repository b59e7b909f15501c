import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../../common/errors.ts';
import { Hold } from '../../../../operator/gateway/hold.ts';

const never = new AbortController().signal;
const limits = { maxRequests: 3, maxBytes: 100 };
const nothing = () => undefined;

describe('Hold', () => {
  it('gives at once what is there, without queueing', async () => {
    const hold = new Hold(limits);

    const value = await hold.take({ key: 'a', bytes: 1, attempt: () => 'here' }, never);

    assert.equal(value, 'here');
    assert.equal(hold.count, 0);
  });

  it('rejects the fourth waiter with QUEUE_FULL and keeps the three', async () => {
    const hold = new Hold(limits);
    for (let i = 0; i < 3; i++) void hold.take({ key: 'a', bytes: 1, attempt: nothing }, never);

    await assert.rejects(hold.take({ key: 'b', bytes: 1, attempt: nothing }, never), {
      code: 'QUEUE_FULL',
    });

    assert.equal(hold.count, 3);
  });

  it('rejects with QUEUE_FULL what would hold more bytes than allowed', async () => {
    const hold = new Hold(limits);
    void hold.take({ key: 'a', bytes: 60, attempt: nothing }, never);

    await assert.rejects(hold.take({ key: 'a', bytes: 41, attempt: nothing }, never), {
      code: 'QUEUE_FULL',
    });

    assert.equal(hold.bytes, 60);
  });

  it('lets a full queue pass what needs no waiting', async () => {
    const hold = new Hold({ maxRequests: 0, maxBytes: 0 });

    assert.equal(await hold.take({ key: 'a', bytes: 9, attempt: () => 1 }, never), 1);
  });

  it('releases the waiters of one key in order of arrival and leaves the others', async () => {
    const hold = new Hold(limits);
    let isOpen = false;
    const order: number[] = [];
    const waiter = (key: string, id: number) =>
      hold
        .take({ key, bytes: 1, attempt: () => (isOpen ? id : undefined) }, never)
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
    const waiting = hold.take({ key: 'a', bytes: 7, attempt: nothing }, gone.signal);

    gone.abort(new Error('client gone'));

    await assert.rejects(waiting, /client gone/);
    assert.deepEqual([hold.count, hold.bytes, hold.keys().length], [0, 0, 0]);
  });

  it('does not queue for a signal that has fired', async () => {
    const hold = new Hold(limits);

    await assert.rejects(
      hold.take({ key: 'a', bytes: 1, attempt: nothing }, AbortSignal.abort(new Error('late'))),
      /late/,
    );
    assert.equal(hold.count, 0);
  });

  it('rejects a waiter whose attempt gives up, and goes on with the next', async () => {
    const hold = new Hold(limits);
    let isRefused = false;
    const refused = hold.take(
      {
        key: 'a',
        bytes: 1,
        attempt: () => {
          if (isRefused) throw new AppError('MODEL_NOT_FOUND', 'gone');
          return undefined;
        },
      },
      never,
    );
    let isOpen = false;
    const served = hold.take({ key: 'a', bytes: 1, attempt: () => isOpen || undefined }, never);

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
      const waiting = hold.take(
        { key: 'a', bytes: 1, attempt: () => isOpen || undefined },
        longLived.signal,
      );
      isOpen = true;
      hold.recheck('a');
      await waiting;
    }

    assert.equal(longLived.listeners, 0);
    assert.deepEqual([hold.count, hold.bytes, hold.keys().length], [0, 0, 0]);
  });

  it('keeps its bounds, loses nobody and is fair, in any interleaving', async () => {
    const key = fc.constantFrom('a', 'b');
    const operation = fc.oneof(
      fc.record({
        kind: fc.constant('arrive' as const),
        key,
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
        const run = new Run(new Hold(limits));
        for (const step of operations) {
          run[step.kind](step as never);
          run.check();
        }
        await run.finish();
      }),
      { numRuns: 300 },
    );
  });
});

interface Arrival {
  id: number;
  key: string;
  controller: AbortController;
  outcome: 'waiting' | 'served' | 'full' | 'aborted';
  settled: Promise<void>;
}

/** Permits come and are taken one per waiter; what must hold is checked after each step. */
class Run {
  readonly #hold: Hold;
  readonly #permits = new Map<string, number>();
  readonly #arrivals: Arrival[] = [];
  readonly #served: Arrival[] = [];

  constructor(hold: Hold) {
    this.#hold = hold;
  }

  arrive({ key, bytes }: { key: string; bytes: number }): void {
    const arrival: Arrival = {
      id: this.#arrivals.length,
      key,
      controller: new AbortController(),
      outcome: 'waiting',
      settled: Promise.resolve(),
    };
    const attempt = () => {
      const permits = this.#permits.get(key) ?? 0;
      if (permits === 0) return undefined;
      this.#permits.set(key, permits - 1);
      arrival.outcome = 'served';
      this.#served.push(arrival);
      return true;
    };
    const { signal } = arrival.controller;
    const roomFor =
      this.#hold.count < limits.maxRequests && this.#hold.bytes + bytes <= limits.maxBytes;
    const hasPermit = (this.#permits.get(key) ?? 0) > 0;
    if (!hasPermit && !roomFor) arrival.outcome = 'full';
    arrival.settled = this.#hold.take({ key, bytes, attempt }, signal).then(
      () => assert.equal(arrival.outcome, 'served'),
      (err: unknown) => {
        const code = err instanceof AppError ? err.code : 'aborted';
        assert.equal(arrival.outcome, code === 'QUEUE_FULL' ? 'full' : 'aborted');
      },
    );
    this.#arrivals.push(arrival);
  }

  abort({ nth }: { nth: number }): void {
    const arrival = this.#arrivals[nth];
    if (!arrival) return;
    if (arrival.outcome === 'waiting') arrival.outcome = 'aborted';
    arrival.controller.abort(new Error('aborted'));
  }

  supply({ key, permits }: { key: string; permits: number }): void {
    this.#permits.set(key, (this.#permits.get(key) ?? 0) + permits);
    this.#hold.recheck(key);
  }

  check(): void {
    const waiting = this.#arrivals.filter(({ outcome }) => outcome === 'waiting');
    assert.equal(this.#hold.count, waiting.length);
    assert.ok(this.#hold.count <= limits.maxRequests && this.#hold.bytes <= limits.maxBytes);
    for (const { key, id } of waiting) {
      assert.equal(this.#permits.get(key) ?? 0, 0, 'waits although there is a permit');
      const overtaken = this.#served.some((other) => other.key === key && other.id > id);
      assert.equal(overtaken, false, 'a later one was served first');
    }
  }

  async finish(): Promise<void> {
    for (const key of ['a', 'b']) this.supply({ key, permits: 100 });
    await Promise.all(this.#arrivals.map(({ settled }) => settled));
    assert.deepEqual([this.#hold.count, this.#hold.bytes, this.#hold.keys().length], [0, 0, 0]);
    assert.ok(this.#arrivals.every(({ outcome }) => outcome !== 'waiting'));
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
