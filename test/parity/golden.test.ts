// The truth: log-probabilities computed in float64 by another implementation, for every model we ship or test with.
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { Session } from '../../server/model/scoring.ts';
import {
  exampleRoot,
  type GoldenRow,
  goldenRoot,
  goldenRows,
  scoreAll,
  withSession,
} from '../support/engine-kit.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const models = [
  'llama',
  'llama-bias',
  'llama-fp16-sharded',
  'llama-linear-rope',
  'llama-yarn',
  'llama3-rope-tied',
].map((name) => ({ root: goldenRoot, path: name }));
const trained = { root: exampleRoot, path: 'tiny-python-llama' };

function assertClose(truth: readonly number[][], found: readonly Float32Array[]): void {
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
    return scoreAll(ids, { scoreFrom: ids.length, wantsNext: true, topK: 3 });
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

describe('golden values', () => {
  for (const volume of [...models, trained]) {
    it(`${volume.path}: unquantized, every row alone and all in one batch equal the truth`, async () => {
      using cache = temporaryFolder();
      const golden = goldenRows(path.join(volume.root, volume.path));
      const truth = golden.map((row) => row.log_probs);
      const rows = golden.map((row) => scoreAll(row.input_ids));

      await withSession(cache.path, { source: { volume } }, async (session) => {
        const together = await session.score(rows);
        const alone = [];
        for (const row of rows) alone.push(...(await session.score([row])));

        assert.deepEqual(
          together.map((row) => row.logprobs.length),
          truth.map((row) => row.length),
        );
        assertClose(
          truth,
          together.map((row) => row.logprobs),
        );
        assertClose(
          truth,
          alone.map((row) => row.logprobs),
        );
        await assertNextTokens(
          session,
          golden.filter((row) => row.last_top3),
        );
      });
    });
  }
});

describe('8-bit blocks on the trained model', () => {
  it('stay within a mean KL divergence of 3e-4 of the unquantized model', async () => {
    using cache = temporaryFolder();
    const golden = goldenRows(path.join(trained.root, trained.path));
    const source = { volume: trained };
    const distributions = async (quantization: 'None' | 'Int8'): Promise<Float64Array[]> => {
      const found: Float64Array[] = [];
      await withSession(cache.path, { source, quantization }, async (session) => {
        for (const { input_ids: ids } of golden) {
          const row = scoreAll(ids, { topK: session.vocabularySize });
          const [scored] = await session.score([row]);
          for (let at = 0; at < ids.length - 1; at++) {
            const dense = new Float64Array(session.vocabularySize);
            for (let i = at * scored!.k; i < (at + 1) * scored!.k; i++) {
              dense[scored!.topIds[i]!] = scored!.topLogprobs[i]!;
            }
            found.push(dense);
          }
        }
      });
      return found;
    };

    const plain = await distributions('None');
    const blocks = await distributions('Int8');

    const divergence = plain.reduce(
      (sum, p, at) => sum + p.reduce((kl, lp, v) => kl + Math.exp(lp) * (lp - blocks[at]![v]!), 0),
      0,
    );
    assert.ok(plain.length > 2000);
    assert.ok(divergence / plain.length <= 3e-4, `mean KL ${divergence / plain.length}`);
  });
});
