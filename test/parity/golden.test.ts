// The truth: log-probabilities and scores computed in float64 by another implementation, for every model we ship or
// test with.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { Quantization } from '../../server/model/convert/plan.ts';
import type { Session } from '../../server/model/scoring.ts';
import { describeModel } from '../../server/onnx/arch/registry.ts';
import {
  exampleRoot,
  type GoldenRow,
  goldenRoot,
  goldenRows,
  goldenScores,
  scoreAll,
  scoreFrom,
  withSession,
} from '../support/engine-kit.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

interface Model {
  readonly root: string;
  readonly path: string;
}

const trained: Model = { root: exampleRoot, path: 'tiny-python-llama' };
const foldersOf = (root: string): Model[] =>
  readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ root, path: name }));
const models = [...foldersOf(goldenRoot), ...foldersOf(exampleRoot)];

function taskOf(model: Model): 'LogProbs' | 'Reward' {
  const file = path.join(model.root, model.path, 'config.json');
  return describeModel(JSON.parse(readFileSync(file, 'utf8'))).task;
}

function assertClose(truth: readonly number[][], found: readonly Float32Array[]): void {
  assert.deepEqual(
    found.map((row) => row.length),
    truth.map((row) => row.length),
  );
  const differences = truth.flatMap((row, r) =>
    row.map((value, i) => Math.abs(value - (found[r]?.[i] ?? NaN))),
  );
  const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
  assert.ok(Math.max(...differences) <= 5e-5, `largest difference ${Math.max(...differences)}`);
  assert.ok(mean <= 5e-6, `mean difference ${mean}`);
}

/** The three most likely tokens after each row. */
async function assertNextTokens(session: Session, golden: readonly GoldenRow[]): Promise<void> {
  if (golden.length === 0) return;
  const rows = golden.map(({ input_ids: ids }) => {
    return scoreFrom(ids.length, ids, { wantsNext: true, topK: 3 });
  });
  const scored = await session.score(rows);
  assert.deepEqual(
    scored.map((row) => [...row.topIds]),
    golden.map((row) => row.last_top3?.ids),
  );
  assertClose(
    golden.map((row) => row.last_top3?.log_probs ?? []),
    scored.map((row) => row.topLogprobs),
  );
}

/** Each row by itself, in order. */
async function oneByOne<R, T>(
  rows: readonly R[],
  run: (rows: readonly R[]) => Promise<T[]>,
): Promise<T[]> {
  const found: T[] = [];
  for (const row of rows) found.push(...(await run([row])));
  return found;
}

async function assertLogProbs(session: Session, folder: string): Promise<void> {
  const golden = goldenRows(folder);
  const truth = golden.map((row) => row.log_probs);
  const rows = golden.map((row) => scoreAll(row.input_ids));
  const score = async (rows: Parameters<Session['score']>[0]) =>
    (await session.score(rows)).map(({ logprobs }) => logprobs);

  assertClose(truth, await score(rows));
  assertClose(truth, await oneByOne(rows, score));
  await assertNextTokens(
    session,
    golden.filter((row) => row.last_top3),
  );
}

async function assertRewards(session: Session, folder: string): Promise<void> {
  const golden = goldenScores(folder);
  const truth = golden.map((row) => row.scores);
  const rows = golden.map((row) => ({ tokens: Int32Array.from(row.input_ids) }));

  const reward = (rows: Parameters<Session['reward']>[0]) => session.reward(rows);

  assertClose(truth, await reward(rows));
  assertClose(truth, await oneByOne(rows, reward));
  assert.deepEqual([...new Set(truth.map((scores) => scores.length))], [session.labels.length]);
}

describe('golden values', () => {
  for (const volume of models) {
    it(`${volume.path}: unquantized, every row alone and all in one batch equal the truth`, async () => {
      using cache = temporaryFolder();
      const folder = path.join(volume.root, volume.path);
      const task = taskOf(volume);

      await withSession(cache.path, { source: { volume } }, async (session) => {
        assert.equal(session.identity.task, task);
        await (task === 'Reward' ? assertRewards : assertLogProbs)(session, folder);
      });
    });
  }
});

/** Mean KL divergence in nats from the unquantized model, on the golden rows of the trained model. */
const bars = [
  { quantization: 'Int8', least: 0, most: 3e-4 },
  { quantization: 'Int4', least: 0, most: 0.028 },
  // As bitsandbytes has it, so no better either: 0.0577 on another text.
  { quantization: 'NF4', least: 0.04, most: 0.07 },
] as const;

/** Log-probabilities of the whole vocabulary after each token of the golden rows but the last. */
async function distributions(session: Session): Promise<Float64Array[]> {
  const found: Float64Array[] = [];
  for (const { input_ids: ids } of goldenRows(path.join(trained.root, trained.path))) {
    const [scored] = await session.score([scoreAll(ids, { topK: session.vocabularySize })]);
    for (let at = 0; at < ids.length - 1; at++) {
      const dense = new Float64Array(session.vocabularySize);
      for (let i = at * scored!.k; i < (at + 1) * scored!.k; i++) {
        dense[scored!.topIds[i]!] = scored!.topLogprobs[i]!;
      }
      found.push(dense);
    }
  }
  return found;
}

async function distributionsOf(
  cacheDir: string,
  quantization: Quantization,
): Promise<Float64Array[]> {
  let found: Float64Array[] = [];
  const source = { volume: trained };
  await withSession(cacheDir, { source, quantization }, async (session) => {
    found = await distributions(session);
  });
  return found;
}

describe('the trained model in blocks', () => {
  for (const { quantization, least, most } of bars) {
    it(`${quantization} diverges from it by ${least} to ${most} nats`, async () => {
      using cache = temporaryFolder();

      const plain = await distributionsOf(cache.path, 'None');
      const blocks = await distributionsOf(cache.path, quantization);

      const sum = plain.reduce(
        (total, p, at) =>
          total + p.reduce((kl, lp, v) => kl + Math.exp(lp) * (lp - blocks[at]![v]!), 0),
        0,
      );
      const divergence = sum / plain.length;
      assert.ok(plain.length > 2000, `only ${plain.length} positions`);
      assert.ok(divergence >= least && divergence <= most, `mean KL ${divergence}`);
    });
  }
});
