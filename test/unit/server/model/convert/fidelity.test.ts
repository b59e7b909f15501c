import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import {
  compare,
  fidelityBytes,
  readFidelity,
} from '../../../../../server/model/convert/fidelity.ts';
import { Forward, passagesOf } from '../../../../../server/model/convert/forward.ts';
import { checkpointWeights } from '../../../../../server/model/weights.ts';
import { type OpenModel, openModel, randomRows } from '../../../../support/convert-kit.ts';
import { neverAborted, scoreAll, withSession } from '../../../../support/engine-kit.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

async function hiddenOf({ blueprint, sources }: OpenModel, rows: readonly Int32Array[]) {
  const passages = passagesOf(blueprint, rows);
  const weights = checkpointWeights(sources);
  const forward = new Forward(blueprint, 1);
  let hidden = await forward.embed(passages, weights, neverAborted);
  for (const index of blueprint.decoder.layers.keys()) {
    hidden = await forward.layer(index, passages, { weights, hidden }, neverAborted);
  }
  return { probe: { blueprint, passages, threads: 1 }, side: { weights, hidden } };
}

/** Log-probabilities of the whole vocabulary after each token but the last. */
async function distributions(name: string, rows: readonly Int32Array[]): Promise<Float64Array[]> {
  using cache = temporaryFolder();
  const found: Float64Array[] = [];
  await withSession(cache.path, { source: volume(name) }, async (session) => {
    for (const row of rows) {
      const [scored] = await session.score([scoreAll(row, { topK: 256 })]);
      for (let at = 0; at + 1 < row.length; at++) {
        const dense = new Float64Array(256);
        for (let i = at * 256; i < (at + 1) * 256; i++) {
          dense[scored!.topIds[i]!] = scored!.topLogprobs[i]!;
        }
        found.push(dense);
      }
    }
  });
  return found;
}

const volume = (name: string) => ({
  volume: { root: path.resolve(import.meta.dirname, '../../../../golden'), path: name },
});

describe('compare', () => {
  it('gives the divergence and the differences that the two models really have', async () => {
    const rows = randomRows([50, 30], 256);
    const plain = await hiddenOf(await openModel('llama'), rows);
    const other = await hiddenOf(await openModel('llama-yarn'), rows);

    const sides = { plain: plain.side, other: other.side };
    const fidelity = await compare(plain.probe, sides, neverAborted);

    const [p, q] = [await distributions('llama', rows), await distributions('llama-yarn', rows)];
    const targets = rows.flatMap((row) => Array.from(row.subarray(1)));
    const mean = (of: (at: number) => number) =>
      targets.reduce((sum, _, at) => sum + of(at), 0) / targets.length;
    const kl = mean((at) =>
      p[at]!.reduce((sum, lp, token) => sum + Math.exp(lp) * (lp - q[at]![token]!), 0),
    );
    const delta = mean((at) => Math.abs(p[at]![targets[at]!]! - q[at]![targets[at]!]!));
    assert.equal(fidelity.tokens, targets.length);
    assert.ok(kl > 0.1, 'the two models are too much alike to compare');
    assert.ok(Math.abs(fidelity.kl - kl) < 1e-4, `divergence ${fidelity.kl}, not ${kl}`);
    assert.ok(
      Math.abs(fidelity.meanAbsDelta - delta) < 1e-4,
      `difference ${fidelity.meanAbsDelta}, not ${delta}`,
    );
    assert.ok(fidelity.maxAbsDelta > fidelity.meanAbsDelta, 'the largest is no larger');
  });

  it('gives zero for a model and itself', async () => {
    const { probe, side } = await hiddenOf(await openModel('gemma2'), randomRows([20], 256));

    const fidelity = await compare(probe, { plain: side, other: side }, neverAborted);

    assert.ok(Math.abs(fidelity.kl) < 1e-7, `divergence ${fidelity.kl}`);
    assert.equal(fidelity.maxAbsDelta, 0);
  });

  it('compares a position once however many rows begin alike', async () => {
    const [row] = randomRows([20], 256);
    const { probe, side } = await hiddenOf(await openModel('llama'), [row!, row!.slice(0, 10)]);

    const { tokens } = await compare(probe, { plain: side, other: side }, neverAborted);

    assert.equal(tokens, 19);
  });

  it('compares the scores of reward models', async () => {
    const { probe, side } = await hiddenOf(
      await openModel('reward-gemma2-5labels'),
      randomRows([20, 10], 256),
    );

    const fidelity = await compare(probe, { plain: side, other: side }, neverAborted);

    assert.deepEqual(fidelity, { kl: 0, meanAbsDelta: 0, maxAbsDelta: 0, tokens: 10 });
  });
});

describe('readFidelity', () => {
  it('reads what was written', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'f');
    const figures = { kl: 2e-4, meanAbsDelta: 0.01, maxAbsDelta: 0.2, tokens: 1020 };
    writeFileSync(file, Buffer.concat([Buffer.alloc(3), fidelityBytes(figures)]));

    assert.deepEqual(await readFidelity({ file, offset: 3, length: 32 }), figures);
  });
});
