import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../../../common/errors.ts';
import { BatchQueue, type QueuedRow } from '../../../../../server/model/batch/queue.ts';
import { settle } from '../../../../support/clock.ts';

const forever = new AbortController().signal;
setMaxListeners(0, forever);
let made = 0;
/** A row that begins like no other. */
const row = (length: number): QueuedRow => ({ tokens: new Int32Array(length).fill(++made) });

interface Pass {
  readonly rows: readonly QueuedRow[];
  end(failure?: AppError): void;
}

/** A queue that hands passes over ahead of time; they end when the test says so. */
function world() {
  const passes: Pass[] = [];
  const ended = { count: 0 };
  const queue = new BatchQueue<QueuedRow, QueuedRow>({
    maxBatchTokens: 100,
    maxQueuedRows: 1000,
    maxQueuedTokens: 10_000,
    isAhead: true,
    onPass: () => {},
    run: (rows) =>
      new Promise((resolve, reject) => {
        passes.push({ rows, end: (failure) => (failure ? reject(failure) : resolve([...rows])) });
      }),
  });
  return {
    submit: (...lengths: number[]) => queue.submit({ rows: lengths.map(row) }, forever),
    lengths: () => passes.map(({ rows }) => rows.map(({ tokens }) => tokens.length)),
    end: async (failure?: AppError) => {
      passes[ended.count]?.end(failure);
      ended.count = Math.min(ended.count + 1, passes.length);
      await settle();
    },
    handedOver: () => passes.length - ended.count,
  };
}

describe('a queue that is ahead', () => {
  it('hands the next pass over when as much waits as is computed', () => {
    const { submit, lengths } = world();

    void submit(30);
    void submit(20);
    void submit(10);

    assert.deepEqual(lengths(), [[30], [20, 10]]);
  });

  it('lets less than that wait for others', async () => {
    const { submit, lengths, end } = world();

    void submit(30);
    void submit(20);
    assert.deepEqual(lengths(), [[30]]);
    await end();

    assert.deepEqual(lengths(), [[30], [20]]);
  });

  it('is one pass ahead, no more', async () => {
    const { submit, lengths, end } = world();

    for (const length of [10, 10, 10, 10]) void submit(length);
    assert.deepEqual(lengths(), [[10], [10]]);
    await end();

    assert.deepEqual(lengths(), [[10], [10], [10, 10]]);
  });

  it('is ahead of a row longer than a pass once a whole pass waits', () => {
    const { submit, lengths } = world();

    void submit(500);
    void submit(60, 40);

    assert.deepEqual(lengths(), [[500], [60, 40]]);
  });

  it('fails each request with what its own pass failed of', async () => {
    const { submit, end } = world();
    const [first, second] = [submit(10), submit(10)];

    const refused = assert.rejects(first, { code: 'RUNNER_DIED' });
    await end(new AppError('RUNNER_DIED', 'it ended'));
    await end();

    await refused;
    assert.equal((await second).length, 1);
  });

  it('answers everybody with their own rows, at most two passes handed over', async () => {
    const step = fc.oneof(
      fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 6 }),
      fc.constant('end' as const),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { submit, end, handedOver } = world();
        const answers: Promise<void>[] = [];
        for (const now of steps) {
          if (now === 'end') await end();
          else {
            const lengths = now;
            const check = (rows: QueuedRow[]) =>
              assert.deepEqual(
                rows.map(({ tokens }) => tokens.length),
                lengths,
              );
            answers.push(submit(...lengths).then(check));
          }
          assert.ok(handedOver() <= 2, `${handedOver()} passes handed over`);
        }
        while (handedOver() > 0) await end();
        await Promise.all(answers);
      }),
    );
  });
});
