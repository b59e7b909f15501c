import assert from 'node:assert/strict';
import { getEventListeners, setMaxListeners } from 'node:events';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../../../common/errors.ts';
import type { Pass } from '../../../../../server/model/batch/pass.ts';
import { BatchQueue, type QueuedRow } from '../../../../../server/model/batch/queue.ts';
import { beginnings } from '../../../../support/alike-rows.ts';
import { settle } from '../../../../support/clock.ts';
import { Recorder } from '../../../../support/tracing.ts';

const forever = new AbortController().signal;
setMaxListeners(0, forever);
const gone = new Error('the client left');

let rowsMade = 0;
/** Rows of these lengths that begin with `prompt`, go on each in its own way, and are told apart by `mark`. */
const rowsOf = (
  lengths: readonly number[],
  mark = 1,
  prompt: readonly number[] = [],
): QueuedRow[] =>
  lengths.map((length) => {
    const own = Array.from({ length: length - prompt.length }, (_, i) => i);
    const tokens = Int32Array.from([...prompt, ...own]);
    tokens[prompt.length] = mark * marks + rowsMade++;
    return { tokens };
  });
const marks = 100_000;
const markOf = ({ tokens }: QueuedRow) => Math.floor(Math.max(...tokens) / marks);
const tokensOf = (rows: readonly QueuedRow[]) => rows.map((row) => row.tokens);

/** A queue whose passes end when the test says so. What a row comes to is the row itself. */
class World {
  readonly tracing = new Recorder();
  readonly passed: number[] = [];
  readonly started: Pass[] = [];
  readonly rows: (readonly QueuedRow[])[] = [];
  #running: {
    rows: readonly QueuedRow[];
    resolve: (rows: QueuedRow[]) => void;
    reject: (err: unknown) => void;
  }[] = [];
  readonly queue: BatchQueue<QueuedRow, QueuedRow>;

  constructor(
    limits: {
      maxBatchTokens?: number;
      maxQueuedRows?: number;
      maxQueuedTokens?: number;
      isAhead?: boolean;
    } = {},
  ) {
    this.queue = new BatchQueue({
      maxBatchTokens: 100,
      maxQueuedRows: 1000,
      maxQueuedTokens: 10_000,
      ...limits,
      onPass: (pass) => void this.started.push(pass),
      onPassed: (seconds) => void this.passed.push(seconds),
      tracing: this.tracing,
      run: (rows) => {
        this.rows.push(rows);
        return new Promise((resolve, reject) => this.#running.push({ rows, resolve, reject }));
      },
    });
  }

  submit(rows: QueuedRow[], signal = forever, caller?: string): Promise<QueuedRow[]> {
    return this.queue.submit({ rows, ...(caller && { caller }) }, signal);
  }

  get running(): number {
    return this.#running.length;
  }

  /** Marks of the rows of every pass. */
  get passes(): number[][] {
    return this.rows.map((rows) => rows.map(markOf));
  }

  async finishPass(failure?: AppError): Promise<void> {
    const pass = this.#running.shift();
    if (failure) pass?.reject(failure);
    else pass?.resolve([...pass.rows]);
    await settle();
  }

  /** Until nothing waits. */
  async finish(): Promise<void> {
    while (this.running > 0) await this.finishPass();
  }
}

/** Each request is a part of a span of its name. */
function worldWithSpans() {
  const world = new World();
  const { tracing } = world;
  return {
    tracing,
    finishPass: (failure?: AppError) => world.finishPass(failure),
    submitAs: (name: string, signal = forever) =>
      tracing.within(tracing.start(name), () => world.submit(rowsOf([5]), signal)),
  };
}

describe('BatchQueue', () => {
  it('merges what arrived during a pass into the next one', async () => {
    const world = new World();
    const all = [1, 2, 3].map((mark) => rowsOf([5, 5], mark));

    const answers = all.map((rows) => world.submit(rows));
    await world.finishPass();
    await world.finishPass();

    assert.deepEqual(world.passes, [
      [1, 1],
      [2, 2, 3, 3],
    ]);
    assert.deepEqual(await Promise.all(answers), all);
  });

  it('has a span of each wait and each pass, linked to all whose rows are in it', async () => {
    const { tracing, ...world } = worldWithSpans();

    const answers = ['a', 'b', 'c'].map((name) => world.submitAs(name));
    await world.finishPass();
    await world.finishPass();
    await Promise.all(answers);

    const [a, b, c] = ['a', 'b', 'c'].map((name) => tracing.named(name)[0]);
    const [first, second] = tracing.named('pass');
    assert.deepEqual([first?.parent, first?.links], [a, [a]]);
    assert.deepEqual([second?.parent, second?.links], [b, [b, c]]);
    assert.deepEqual(second?.attributes, {
      'refmodel.rows': 2,
      'refmodel.tokens': 10,
      'refmodel.packed_tokens': 10,
    });
    assert.deepEqual(
      tracing.named('queue').map(({ parent, hasEnded }) => [parent, hasEnded]),
      [a, b, c].map((span) => [span, true]),
    );
    assert.ok(first?.hasEnded && second?.hasEnded);
  });

  it('ends the span of a pass that fails, and of a wait that is given up, with the error', async () => {
    const { tracing, ...world } = worldWithSpans();
    const leaving = new AbortController();
    const died = new AppError('RUNNER_DIED', 'gone');

    const failing = assert.rejects(world.submitAs('a'), died);
    const left = assert.rejects(world.submitAs('b', leaving.signal));
    leaving.abort(new Error('left'));
    await world.finishPass(died);
    await Promise.all([failing, left]);

    assert.equal(tracing.named('pass')[0]?.error, died);
    assert.equal(tracing.named('queue')[1]?.error, leaving.signal.reason);
    assert.equal(tracing.named('pass').length, 1);
  });

  it('tells how long each pass took, and what waits', async () => {
    const world = new World();

    const answers = [world.submit(rowsOf([5])), world.submit(rowsOf([5, 7]))];
    const waiting = [world.queue.queuedRows, world.queue.queuedTokens];
    await world.finish();
    await Promise.all(answers);

    assert.deepEqual(waiting, [2, 12]);
    assert.equal(world.queue.queuedTokens, 0);
    assert.equal(world.passed.length, 2);
    assert.ok(world.passed.every((seconds) => seconds >= 0));
  });

  it('runs one pass at a time', async () => {
    const world = new World();

    void world.submit(rowsOf([90]));
    void world.submit(rowsOf([90]));
    await settle();

    assert.equal(world.running, 1);
  });

  it('starts the next pass before those of the last one are told', async () => {
    const world = new World();
    const first = world.submit(rowsOf([90], 1));
    void world.submit(rowsOf([90], 2));

    const running = first.then(() => world.passes.length);
    await world.finishPass();

    assert.equal(await running, 2);
  });

  it('gives the rows of a request back in order, though they ran in different passes', async () => {
    const world = new World();
    const rows = rowsOf([50, 3, 50, 3, 70]);

    const answer = world.submit(rows);
    await world.finish();

    assert.deepEqual(await answer, rows);
    assert.ok(world.passes.length > 1);
  });

  it('answers a request without rows at once', async () => {
    assert.deepEqual(await new World().submit([]), []);
  });

  it('refuses rows beyond its bounds with QUEUE_FULL, and takes them again later', async () => {
    const world = new World({ maxQueuedRows: 3, maxQueuedTokens: 100 });
    void world.submit(rowsOf([90]));
    void world.submit(rowsOf([20, 20]));

    await assert.rejects(world.submit(rowsOf([1, 1])), { code: 'QUEUE_FULL' });
    await assert.rejects(world.submit(rowsOf([61])), { code: 'QUEUE_FULL' });
    await world.finishPass();
    void world.submit(rowsOf([1, 1]));
    await world.finish();

    assert.equal(world.passes.flat().length, 5);
  });

  it('drops the rows of a client who left before they were dispatched', async () => {
    const world = new World({ maxQueuedRows: 2 });
    const client = new AbortController();
    void world.submit(rowsOf([90], 1));
    const left = world.submit(rowsOf([5, 5], 2), client.signal);

    client.abort(gone);
    await assert.rejects(left, gone);
    const stays = world.submit(rowsOf([5, 5], 3));
    await world.finishPass();
    await world.finishPass();

    assert.deepEqual(world.passes, [[1], [3, 3]]);
    assert.equal((await stays).length, 2);
  });

  it('goes on without a client who left during the pass', async () => {
    const world = new World();
    const client = new AbortController();
    const left = world.submit(rowsOf([5]), client.signal);

    client.abort(gone);
    await assert.rejects(left, gone);
    await world.finishPass();
    const next = world.submit(rowsOf([5]));
    await world.finishPass();

    assert.equal((await next).length, 1);
  });

  it('does not take a client who left before', async () => {
    const world = new World();

    await assert.rejects(world.submit(rowsOf([5]), AbortSignal.abort(gone)), gone);

    assert.equal(world.running, 0);
  });

  it('tells every request of a pass that failed, drops their other rows, and goes on', async () => {
    const world = new World();
    const died = new AppError('RUNNER_DIED', 'gone');
    const failed = assert.rejects(world.submit(rowsOf([90, 80], 1)), died);
    const next = world.submit(rowsOf([5], 2));

    await world.finishPass(died);
    await failed;
    await world.finishPass();

    assert.deepEqual(world.passes, [[1], [2]]);
    assert.equal((await next).length, 1);
  });

  it('leaves no listener on the signal of a request', async () => {
    const { signal } = new AbortController();
    const world = new World();

    const answer = world.submit(rowsOf([5]), signal);
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    await world.finishPass();
    await answer;

    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it('reports what every pass asks and what it computes', async () => {
    const world = new World();
    const prompt = Array.from({ length: 64 }, (_, i) => i);

    void world.submit(rowsOf([70, 74], 1, prompt));
    await settle();

    const { waitedMs, ...pass } = world.started[0]!;
    assert.deepEqual(pass, { rows: 2, tokens: 144, packedTokens: 80, slots: 80, paddedSlots: 0 });
    assert.ok(waitedMs >= 0, `waited ${waitedMs} ms`);
  });

  it('puts rows that begin alike into one pass, in whatever order they came', async () => {
    const world = new World({ maxBatchTokens: 200 });
    const prompts = [1, 2, 3].map((id) => Array<number>(80).fill(id));
    const groups = prompts.map((prompt, i) => rowsOf(Array<number>(6).fill(100), i + 1, prompt));
    const mixed = Array.from({ length: 18 }, (_, i) => groups[i % 3]![Math.floor(i / 3)]!);

    const answer = world.submit(mixed);
    await world.finish();

    for (const pass of world.passes) assert.equal(new Set(pass).size, 1);
    assert.equal(world.passes.length, 3);
    assert.deepEqual(await answer, mixed);
  });

  it('lets a caller with few rows join the next pass, however many another has', async () => {
    const world = new World();
    void world.submit(rowsOf(Array<number>(500).fill(10), 1));

    const few = world.submit(rowsOf([10, 10], 2));
    await world.finishPass();
    await world.finishPass();

    assert.equal((await few).length, 2);
    assert.equal(world.passes[1]?.length, 10);
  });

  it('lets requests of one caller take turns as one', async () => {
    const world = new World();
    void world.submit(rowsOf([90], 9));
    for (let i = 0; i < 3; i++)
      void world.submit(rowsOf(Array<number>(20).fill(10), 1), forever, 'a');
    void world.submit(rowsOf(Array<number>(20).fill(10), 2), forever, 'b');

    for (let i = 0; i < 3; i++) await world.finishPass();

    const counts = [1, 2].map(
      (mark) =>
        world.passes
          .slice(1, 3)
          .flat()
          .filter((m) => m === mark).length,
    );
    assert.ok(Math.abs(counts[0]! - counts[1]!) <= 3, `${counts[0]} and ${counts[1]} rows`);
  });

  it('lets a row wait no longer for being long, though short ones keep coming', async () => {
    const world = new World();
    void world.submit(rowsOf(Array<number>(10).fill(10), 1));
    void world.submit(rowsOf(Array<number>(10).fill(10), 1));
    void world.submit(rowsOf([95], 2));

    for (let i = 0; i < 3; i++) {
      void world.submit(rowsOf(Array<number>(10).fill(10), 3));
      await world.finishPass();
    }

    assert.ok(
      world.passes.some((pass) => pass.includes(2)),
      'it still waits',
    );
  });

  it('fills a pass with what fits while a longer row keeps its turn', async () => {
    const world = new World();
    void world.submit(rowsOf([90], 1));
    void world.submit(rowsOf([20], 2));
    void world.submit(rowsOf([90], 3));
    void world.submit(rowsOf([20], 4));

    await world.finish();

    assert.deepEqual(world.passes, [[1], [2, 4], [3]]);
  });

  it('runs every row once, within the budget, and lets nobody wait for those who came later', async () => {
    const request = fc.record({
      lengths: fc.array(fc.integer({ min: 1, max: 130 }), { minLength: 1, maxLength: 10 }),
      prompt: fc.nat(3),
      passes: fc.nat(2),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 20 }), async (requests) => {
        const world = new World();
        const all: { rows: QueuedRow[]; latest: number; answer: Promise<QueuedRow[]> }[] = [];
        for (const { lengths, prompt, passes } of requests) {
          const taken = new Set(world.rows.flat());
          const ahead = all.filter(({ rows }) => rows.some((row) => !taken.has(row))).length;
          const rows = rowsOf(
            lengths.map((length) => length + 10),
            1,
            Array<number>(10).fill(prompt),
          );
          // Each caller that stands before it keeps its turn for two passes at most.
          const latest = world.rows.length + 2 * ahead + 1;
          all.push({ rows, latest, answer: world.submit(rows) });
          for (let i = 0; i < passes; i++) await world.finishPass();
        }
        await world.finish();

        assert.deepEqual(
          await Promise.all(all.map(({ answer }) => answer)),
          all.map(({ rows }) => rows),
        );
        const taken = world.rows.flat();
        assert.equal(taken.length, new Set(taken).size);
        assert.deepEqual(new Set(taken), new Set(all.flatMap(({ rows }) => rows)));
        for (const rows of world.rows) {
          assert.ok(rows.length === 1 || beginnings(tokensOf(rows)).size <= 100, 'over the budget');
        }
        for (const { rows, latest } of all) {
          const first = world.rows.findIndex((pass) => pass.some((row) => rows.includes(row)));
          assert.ok(first < latest, `in pass ${first}, ${latest} is late`);
        }
      }),
    );
  });

  it('answers everyone who stays, in passes that keep their size, whatever comes and goes', async () => {
    const request = fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 8 });
    const command = fc.oneof(
      { weight: 3, arbitrary: fc.record({ do: fc.constant('submit' as const), lengths: request }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('finish' as const), fails: fc.nat(5) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), pick: fc.nat(20) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
        const world = new World();
        const clients: AbortController[] = [];
        const answers: Promise<unknown>[] = [];
        for (const step of commands) {
          if (step.do === 'submit') {
            const client = new AbortController();
            const rows = rowsOf(step.lengths, clients.push(client));
            answers.push(
              world.submit(rows, client.signal).then(
                (results) => assert.deepEqual(results, rows),
                (err: unknown) => assert.ok(err === gone || err instanceof AppError),
              ),
            );
          }
          if (step.do === 'finish') {
            await world.finishPass(step.fails === 0 ? new AppError('RUNNER_DIED', 'x') : undefined);
          }
          if (step.do === 'leave') clients[step.pick]?.abort(gone);
          assert.ok(world.running <= 1);
        }
        await world.finish();
        await Promise.all(answers);
        for (const pass of world.started) {
          assert.ok(pass.rows === 1 || pass.packedTokens <= 100, 'over the budget');
        }
      }),
    );
  });
});
