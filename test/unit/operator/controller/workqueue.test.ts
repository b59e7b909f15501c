import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type Handler,
  TerminalError,
  WorkQueue,
  type WorkQueueOptions,
} from '../../../../operator/controller/workqueue.ts';
import { FakeClock, settle } from '../../../support/clock.ts';

const end = new Error('end of test');

/** A queue that works, a handler whose runs a test ends by hand, and what has happened. */
function working(options: Partial<WorkQueueOptions> = {}, handle?: Handler) {
  const clock = new FakeClock();
  const failures: [string, number][] = [];
  const queue = new WorkQueue({
    clock,
    workers: 2,
    firstMs: 100,
    maxMs: 1000,
    onError: (key, _err, count) => failures.push([key, count]),
    ...options,
  });
  const runs: { key: string; finish: (result?: object) => void; fail: (err: Error) => void }[] = [];
  const started: string[] = [];
  const byHand: Handler = (key) =>
    new Promise((resolve, reject) => {
      started.push(key);
      runs.push({ key, finish: (result = {}) => resolve(result), fail: reject });
    });
  const stop = new AbortController();
  const ended = queue.run(handle ?? byHand, stop.signal).catch((err: unknown) => err);
  return {
    clock,
    failures,
    queue,
    runs,
    started,
    stop,
    ended,
    async [Symbol.asyncDispose]() {
      stop.abort(end);
      for (const run of runs) run.finish();
      assert.equal(await ended, end);
    },
  };
}

describe('WorkQueue', () => {
  it('runs a key once however often it was added before', async () => {
    await using t = working();

    for (const key of ['a', 'a', 'b', 'a']) t.queue.add(key);
    await settle();

    assert.deepEqual(t.started, ['a', 'b']);
  });

  it('runs a key once more that was added while it ran, and not at the same time', async () => {
    await using t = working();
    t.queue.add('a');
    await settle();

    t.queue.add('a');
    t.queue.add('a');
    await settle();
    assert.deepEqual(t.started, ['a']);
    t.runs[0]?.finish();
    await settle();

    assert.deepEqual(t.started, ['a', 'a']);
  });

  it('runs no more keys at a time than it has workers', async () => {
    await using t = working();

    for (const key of ['a', 'b', 'c']) t.queue.add(key);
    await settle();
    assert.deepEqual(t.started, ['a', 'b']);
    assert.equal(t.queue.depth, 3);
    t.runs[1]?.finish();
    await settle();

    assert.deepEqual(t.started, ['a', 'b', 'c']);
  });

  it('tries again later and later what fails, and at once after a success', async () => {
    await using t = working();
    t.queue.add('a');
    await settle();

    for (const at of [0, 1, 2]) {
      t.runs[at]?.fail(new Error('no'));
      await settle();
      await t.clock.step(49 * 2 ** at);
      assert.equal(t.started.length, at + 1);
      await t.clock.step(51 * 2 ** at);
      assert.equal(t.started.length, at + 2);
    }
    t.runs[3]?.finish();
    await settle();
    t.queue.add('a');
    await settle();
    t.runs[4]?.fail(new Error('no'));
    await settle();

    assert.deepEqual(
      t.failures.map(([, count]) => count),
      [1, 2, 3, 1],
    );
  });

  it('does not try again what cannot succeed, until the key is added', async () => {
    await using t = working();
    t.queue.add('a');
    await settle();

    t.runs[0]?.fail(new TerminalError('never'));
    await settle();
    await t.clock.step(3_600_000);
    assert.equal(t.started.length, 1);
    t.queue.add('a');
    await settle();

    assert.equal(t.started.length, 2);
  });

  it('runs a key again when its run asked for it', async () => {
    await using t = working();
    t.queue.add('a');
    await settle();

    t.runs[0]?.finish({ requeueAfterMs: 500 });
    await settle();
    await t.clock.step(499);
    assert.equal(t.started.length, 1);
    await t.clock.step(1);

    assert.equal(t.started.length, 2);
  });

  it('keeps the earliest of several plans for a key', async () => {
    await using t = working();

    t.queue.addAfter('a', 500);
    t.queue.addAfter('a', 100);
    t.queue.addAfter('a', 900);
    await t.clock.step(100);
    t.runs[0]?.finish();
    await t.clock.step(1000);

    assert.deepEqual(t.started, ['a']);
  });

  it('waits at its end for the runs in progress, and leaves no timer behind', async () => {
    const t = working();
    t.queue.add('a');
    t.queue.addAfter('b', 1000);
    await settle();
    let isOver = false;
    const over = t.ended.then(() => {
      isOver = true;
    });

    t.stop.abort(end);
    await settle();
    assert.equal(isOver, false);
    t.runs[0]?.finish();
    await over;

    assert.equal(t.clock.pending, 0);
    assert.equal(t.started.length, 1);
  });

  it('for any order of events loses no key and never runs one twice at a time', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd');
    const event = fc.oneof(
      fc.record({ type: fc.constant('add' as const), key }),
      fc.record({ type: fc.constant('step' as const), ms: fc.integer({ min: 1, max: 400 }) }),
      fc.record({ type: fc.constant('end' as const), isFailure: fc.boolean() }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
        const running = new Set<string>();
        /** Keys added after the last start of their run: each needs one more. */
        const owed = new Set<string>();
        const ends: ((isFailure: boolean) => void)[] = [];
        await using t = working({ workers: 2 }, async (run) => {
          assert.ok(!running.has(run), 'twice at a time');
          running.add(run);
          owed.delete(run);
          assert.ok(running.size <= 2, 'more than the workers');
          const isFailure = await new Promise<boolean>((resolve) => ends.push(resolve));
          running.delete(run);
          if (isFailure) {
            owed.add(run);
            throw new Error('no');
          }
          return {};
        });
        for (const step of events) {
          if (step.type === 'add') {
            owed.add(step.key);
            t.queue.add(step.key);
          } else if (step.type === 'step') await t.clock.step(step.ms);
          else ends.shift()?.(step.isFailure);
          await settle();
        }
        for (let i = 0; i < 100 && (owed.size > 0 || ends.length > 0); i += 1) {
          ends.shift()?.(false);
          await t.clock.step(1000);
        }
        assert.deepEqual([...owed], []);
      }),
      { numRuns: 60 },
    );
  });
});
