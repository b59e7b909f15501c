import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../../../common/errors.ts';
import { inHalves } from '../../../../../server/model/batch/halving.ts';
import { BatchQueue } from '../../../../../server/model/batch/queue.ts';

const forever = new AbortController().signal;
const row = (tokens: number) => ({ tokens: new Int32Array(tokens) });
type Row = ReturnType<typeof row>;

/** A GPU that holds so many tokens; the result of a row is its length. */
function gpu(capacity: number) {
  const passes: number[] = [];
  const run = async (rows: readonly Row[]) => {
    passes.push(rows.length);
    const tokens = rows.reduce((sum, { tokens }) => sum + tokens.length, 0);
    if (tokens > capacity) throw new AppError('OUT_OF_DEVICE_MEMORY', 'Failed to allocate memory');
    return rows.map(({ tokens }) => tokens.length);
  };
  return { run, passes };
}

const codesIn = (outcomes: readonly (number | AppError)[]) =>
  outcomes.map((outcome) => (outcome instanceof AppError ? outcome.code : outcome));

describe('inHalves', () => {
  it('runs a pass that fits once', async () => {
    const { run, passes } = gpu(100);

    const results = await inHalves(run, { onHalved: () => {} })([row(3), row(4)]);

    assert.deepEqual(results, [3, 4]);
    assert.deepEqual(passes, [2]);
  });

  it('halves a pass that does not fit until its parts do', async () => {
    const { run, passes } = gpu(10);
    const halved: number[] = [];

    const results = await inHalves(run, { onHalved: (rows) => void halved.push(rows) })(
      [6, 6, 2, 2].map(row),
    );

    assert.deepEqual(results, [6, 6, 2, 2]);
    assert.deepEqual(passes, [4, 2, 1, 1, 2]);
    assert.deepEqual(halved, [4, 2]);
  });

  it('gives a row that does not fit alone its error, with words that help', async () => {
    const { run } = gpu(10);

    const [outcome] = await inHalves(run, { onHalved: () => {} })([row(11)]);

    assert.ok(outcome instanceof AppError, 'it has a result');
    assert.equal(outcome.code, 'OUT_OF_DEVICE_MEMORY');
    assert.match(outcome.message, /11 tokens.*shorter rows/);
    assert.ok(outcome.isRetryable, 'a trainer would die of it');
  });

  it('passes on what else a pass fails of', async () => {
    const died = new AppError('RUNNER_DIED', 'gone');
    const run = inHalves(() => Promise.reject(died), { onHalved: () => {} });

    await assert.rejects(run([row(1), row(2)]), died);
  });

  it('answers each row that fits with its result, in order, and the others with their error', async () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(lengths, fc.integer({ min: 1, max: 100 }), async (given, capacity) => {
        const { run, passes } = gpu(capacity);

        const outcomes = await inHalves(run, { onHalved: () => {} })(given.map(row));

        const want = given.map((length) => (length > capacity ? 'OUT_OF_DEVICE_MEMORY' : length));
        assert.deepEqual(codesIn(outcomes), want);
        assert.ok(passes.length < 2 * given.length, `${passes.length} passes`);
      }),
    );
  });
});

describe('a queue over a GPU that is too small for a pass', () => {
  it('answers every request whose rows fit, and fails only the one whose row does not', async () => {
    const { run } = gpu(20);
    const queue = new BatchQueue<Row, number>({
      maxBatchTokens: 1000,
      maxQueuedRows: 100,
      maxQueuedTokens: 10_000,
      run: inHalves(run, { onHalved: () => {} }),
      onPass: () => {},
    });
    const submit = (...lengths: number[]) => queue.submit({ rows: lengths.map(row) }, forever);

    const [first, large, last] = await Promise.allSettled([
      submit(3),
      submit(4, 21, 5),
      submit(15, 16),
    ]);

    assert.deepEqual(first, { status: 'fulfilled', value: [3] });
    assert.deepEqual(last, { status: 'fulfilled', value: [15, 16] });
    assert.equal(large?.status, 'rejected');
    assert.equal(large.reason.code, 'OUT_OF_DEVICE_MEMORY');
    assert.deepEqual(await submit(7), [7]);
  });
});
