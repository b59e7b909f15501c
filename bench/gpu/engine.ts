// A model on the GPU in this process, without a server around it: what the graph alone gives.
import { systemClock } from '../../common/clock.ts';
import type { CatalogModel } from '../../server/contract.ts';
import { pack } from '../../server/model/batch/pack.ts';
import { Engine } from '../../server/model/engine.ts';
import { Feeder } from '../../server/model/feeds.ts';
import { offlineHub } from '../../server/model/hub/settings.ts';
import { prepareModel } from '../../server/model/prepare.ts';
import type { ScoreRow } from '../../server/model/scoring.ts';
import { Store } from '../../server/model/store/store.ts';
import { headOutputs } from '../../server/onnx/blocks/head.ts';

export interface Bare {
  /** `isShared` false: rows share nothing, whatever they begin with. */
  score(rows: readonly ScoreRow[], isShared?: boolean): Promise<Float32Array[]>;
  close(): Promise<void>;
}

export async function openBare(model: CatalogModel, cacheDir: string): Promise<Bare> {
  const store = new Store({ dir: cacheDir, budgetBytes: undefined, clock: systemClock });
  const options = { cacheDir, hub: offlineHub, store, threads: 4, provider: 'CUDA' as const };
  const quiet = { report: () => {}, keep: () => Promise.resolve() };
  const { signal } = new AbortController();
  const { blueprint, weights, target, maxChunkRows } = await prepareModel(
    model,
    { ...options, ...quiet },
    signal,
  );
  const engine = await Engine.load(blueprint.graph(weights, target), {
    threads: 4,
    provider: 'CUDA',
  });
  const feeder = new Feeder(blueprint.decoder, target);
  const { vocabularySize } = blueprint;
  return {
    async score(rows, isShared = true) {
      const packing = { ...feeder.packing, ...(!isShared && { pageTokens: Infinity }) };
      const batch = pack(rows, { vocabularySize, maxChunkRows, ...packing });
      if (!batch) throw new Error('nothing is scored');
      const results = await engine.run(feeder.scores(batch));
      const values = results.floats(headOutputs.logprobs);
      return batch.answers.map((numbers) => Float32Array.from(numbers, (at) => values[at] ?? NaN));
    },
    close: () => engine.release(),
  };
}
