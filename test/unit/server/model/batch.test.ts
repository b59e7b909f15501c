import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../../common/errors.ts';
import { BatchQueue, type Pass, planPass } from '../../../../server/model/batch.ts';
import type { ScoredRow, ScoreRow } from '../../../../server/model/scoring.ts';
import { scoreRow } from '../../../support/bigram-model.ts';
import { settle } from '../../../support/clock.ts';

const forever = new AbortController().signal;
const gone = new Error('the client left');

/** Rows of these lengths; the first token of each is `mark`. */
const rowsOf = (lengths: readonly number[], mark = 1): ScoreRow[] =>
  lengths.map((length) => ({
    tokens: new Int32Array(length).fill(mark),
    scoreFrom: 1,
    wantsNext: false,
    topK: 0,
  }));

/** A queue whose passes end when the test says so. */
class World {
  readonly started: Pass[] = [];
  /** Marks of the rows of every pass. */
  readonly passes: number[][] = [];
  #finish: { resolve: (rows: ScoredRow[]) => void; reject: (err: unknown) => void }[] = [];
  #rows: (readonly ScoreRow[])[] = [];
  readonly queue: BatchQueue;

  constructor(
    limits: { maxBatchTokens?: number; maxQueuedRows?: number; maxQueuedTokens?: number } = {},
  ) {
    this.queue = new BatchQueue({
      maxBatchTokens: 100,
      maxQueuedRows: 1000,
      maxQueuedTokens: 10_000,
      ...limits,
      onPass: (pass) => void this.started.push(pass),
      score: (rows) => {
        this.passes.push(rows.map((row) => row.tokens[0] ?? 0));
        this.#rows.push(rows);
        return new Promise((resolve, reject) => this.#finish.push({ resolve, reject }));
      },
    });
  }

  get running(): number {
    return this.#finish.length;
  }

  async finishPass(failure?: AppError): Promise<void> {
    const pass = this.#finish.shift();
    const rows = this.#rows.shift() ?? [];
    if (failure) pass?.reject(failure);
    else pass?.resolve(rows.map(scoreRow));
    await settle();
  }
}

describe('planPass', () => {
  const cases = [
    { name: 'all that fit', lengths: [10, 10, 10], max: 100, want: [0, 1, 2] },
    {
      name: 'no more than fit, in order of arrival',
      lengths: [40, 40, 40],
      max: 100,
      want: [0, 1],
    },
    { name: 'a row longer than a pass alone', lengths: [500, 10], max: 100, want: [0] },
    {
      name: 'a longer row later, after those that fit',
      lengths: [10, 500, 10],
      max: 100,
      want: [0, 2],
    },
    { name: 'what pads little, past what pads much', lengths: [20, 2, 19], max: 100, want: [0, 2] },
    { name: 'nothing of an empty queue', lengths: [], max: 100, want: [] },
  ];
  for (const { name, lengths, max, want } of cases) {
    it(`takes ${name}`, () => assert.deepEqual(planPass(lengths, max), want));
  }

  it('always takes the first row, keeps the padded size, and pads a fifth at most', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 2000 }), (rows, max) => {
        const chosen = planPass(rows, max);

        assert.equal(chosen[0], 0);
        const sizes = chosen.map((index) => rows[index] ?? 0);
        const padded = sizes.length * Math.max(...sizes);
        const tokens = sizes.reduce((sum, size) => sum + size, 0);
        assert.ok(sizes.length === 1 || (padded <= max && tokens >= 0.8 * padded - 1e-9));
      }),
    );
  });
});

describe('BatchQueue', () => {
  it('merges what arrived during a pass into the next one', async () => {
    const world = new World();

    const answers = [1, 2, 3].map((mark) => world.queue.submit(rowsOf([5, 5], mark), forever));
    await world.finishPass();
    await world.finishPass();

    assert.deepEqual(world.passes, [
      [1, 1],
      [2, 2, 3, 3],
    ]);
    for (const [i, rows] of (await Promise.all(answers)).entries()) {
      assert.deepEqual(rows, rowsOf([5, 5], i + 1).map(scoreRow));
    }
  });

  it('runs one pass at a time', async () => {
    const world = new World();

    void world.queue.submit(rowsOf([90]), forever);
    void world.queue.submit(rowsOf([90]), forever);
    await settle();

    assert.equal(world.running, 1);
  });

  it('starts the next pass before those of the last one are told', async () => {
    const world = new World();
    const first = world.queue.submit(rowsOf([90], 1), forever);
    void world.queue.submit(rowsOf([90], 2), forever);

    const running = first.then(() => world.passes.length);
    await world.finishPass();

    assert.equal(await running, 2);
  });

  it('gives the rows of a request back in order, though they ran in different passes', async () => {
    const world = new World();
    const rows = rowsOf([50, 3, 50, 3, 70]);

    const answer = world.queue.submit(rows, forever);
    while (world.running > 0) await world.finishPass();

    assert.deepEqual(await answer, rows.map(scoreRow));
    assert.ok(world.passes.length > 1);
  });

  it('answers a request without rows at once', async () => {
    assert.deepEqual(await new World().queue.submit([], forever), []);
  });

  it('refuses rows beyond its bounds with QUEUE_FULL, and takes them again later', async () => {
    const world = new World({ maxQueuedRows: 3, maxQueuedTokens: 100 });
    void world.queue.submit(rowsOf([90]), forever);
    void world.queue.submit(rowsOf([20, 20]), forever);

    await assert.rejects(world.queue.submit(rowsOf([1, 1]), forever), { code: 'QUEUE_FULL' });
    await assert.rejects(world.queue.submit(rowsOf([61]), forever), { code: 'QUEUE_FULL' });
    await world.finishPass();
    void world.queue.submit(rowsOf([1, 1]), forever);
    while (world.running > 0) await world.finishPass();

    assert.equal(world.passes.flat().length, 5);
  });

  it('drops the rows of a client who left before they were dispatched', async () => {
    const world = new World({ maxQueuedRows: 2 });
    const client = new AbortController();
    void world.queue.submit(rowsOf([90], 1), forever);
    const left = world.queue.submit(rowsOf([5, 5], 2), client.signal);

    client.abort(gone);
    await assert.rejects(left, gone);
    const stays = world.queue.submit(rowsOf([5, 5], 3), forever);
    await world.finishPass();
    await world.finishPass();

    assert.deepEqual(world.passes, [[1], [3, 3]]);
    assert.equal((await stays).length, 2);
  });

  it('goes on without a client who left during the pass', async () => {
    const world = new World();
    const client = new AbortController();
    const left = world.queue.submit(rowsOf([5]), client.signal);

    client.abort(gone);
    await assert.rejects(left, gone);
    await world.finishPass();
    const next = world.queue.submit(rowsOf([5]), forever);
    await world.finishPass();

    assert.equal((await next).length, 1);
  });

  it('does not take a client who left before', async () => {
    const world = new World();

    await assert.rejects(world.queue.submit(rowsOf([5]), AbortSignal.abort(gone)), gone);

    assert.equal(world.running, 0);
  });

  it('tells every request of a pass that failed, drops their other rows, and goes on', async () => {
    const world = new World();
    const died = new AppError('RUNNER_DIED', 'gone');
    const failed = assert.rejects(world.queue.submit(rowsOf([90, 80], 1), forever), died);
    const next = world.queue.submit(rowsOf([5], 2), forever);

    await world.finishPass(died);
    await failed;
    await world.finishPass();

    assert.deepEqual(world.passes, [[1], [2]]);
    assert.equal((await next).length, 1);
  });

  it('leaves no listener on the signal of a request', async () => {
    const { signal } = new AbortController();
    const world = new World();

    const answer = world.queue.submit(rowsOf([5]), signal);
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    await world.finishPass();
    await answer;

    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it('reports size and padding of every pass', async () => {
    const world = new World();

    void world.queue.submit(rowsOf([10, 9]), forever);
    await settle();

    const [pass] = world.started;
    assert.deepEqual([pass?.rows, pass?.tokens, pass?.paddedTokens], [2, 19, 20]);
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
              world.queue.submit(rows, client.signal).then(
                (results) => assert.deepEqual(results, rows.map(scoreRow)),
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
        while (world.running > 0) await world.finishPass();
        await Promise.all(answers);
        for (const pass of world.started) assert.ok(pass.rows === 1 || pass.paddedTokens <= 100);
      }),
    );
  });
});
