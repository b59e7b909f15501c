// How far the GPU's numbers are from float32, which is within 2e-5 of float64: mean KL divergence of whole distributions.
import path from 'node:path';
import { silentLogger } from '../../common/log.ts';
import type { CatalogModel } from '../../server/contract.ts';
import { createLoader } from '../../server/model/load.ts';
import type { ScoredRow } from '../../server/model/scoring.ts';
import type { Provider } from '../../server/onnx/target.ts';
import {
  catalogModel,
  exampleRoot,
  goldenRows,
  roomForAll,
  scoreAll,
} from '../../test/support/engine-kit.ts';

const name = 'tiny-python-llama';
const rows = goldenRows(path.join(exampleRoot, name)).map(({ input_ids }) => scoreAll(input_ids));

interface Way {
  readonly provider: Provider;
  readonly quantization: CatalogModel['quantization'];
}

/** The shipped, trained model on its held-out text. */
export async function measureFidelity(cacheDir: string): Promise<Record<string, unknown>[]> {
  const truth = await distributions(cacheDir, { provider: 'CPU', quantization: 'None' });
  const plain = await distributions(cacheDir, { provider: 'CUDA', quantization: 'None' });
  const coded = await distributions(cacheDir, { provider: 'CUDA', quantization: 'Int8' });
  return [
    { what: 'bfloat16 from float32', ...divergence(truth, plain) },
    { what: 'Int8 from bfloat16', ...divergence(plain, coded) },
  ];
}

/** log-probabilities [positions, V] of each row, one after another */
async function distributions(cacheDir: string, { provider, quantization }: Way) {
  const load = createLoader({ cacheDir, threads: 4, provider, log: silentLogger });
  const source = { volume: { root: exampleRoot, path: name } };
  const session = await load(catalogModel({ source, quantization }), roomForAll);
  try {
    const { vocabularySize } = session;
    const scored = await session.score(rows.map((row) => ({ ...row, topK: vocabularySize })));
    return scored.map((row) => inOrder(row, vocabularySize));
  } finally {
    await session.close();
  }
}

function inOrder({ topIds, topLogprobs, k }: ScoredRow, vocabularySize: number): Float32Array {
  const values = new Float32Array((topIds.length / k) * vocabularySize);
  topIds.forEach((id, i) => {
    values[Math.floor(i / k) * vocabularySize + id] = topLogprobs[i] ?? NaN;
  });
  return values;
}

/** Mean over positions of Σ p · (log p - log q), in nats. */
function divergence(p: readonly Float32Array[], q: readonly Float32Array[]) {
  let sum = 0;
  p.forEach((row, r) => {
    row.forEach((value, i) => {
      sum += Math.exp(value) * (value - (q[r]?.[i] ?? NaN));
    });
  });
  const positions = rows.reduce((count, row) => count + row.positions.length, 0);
  return { kl: sum / positions, positions };
}
