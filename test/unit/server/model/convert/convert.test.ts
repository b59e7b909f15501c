import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { packTokens } from '../../../../../server/model/batch/pack.ts';
import {
  artifactOf,
  layOutArtifact,
  openArtifact,
} from '../../../../../server/model/convert/artifact.ts';
import { convert } from '../../../../../server/model/convert/convert.ts';
import { type Fidelity, readFidelity } from '../../../../../server/model/convert/fidelity.ts';
import { planTensors, type Quantization } from '../../../../../server/model/convert/plan.ts';
import { Engine } from '../../../../../server/model/engine.ts';
import { Feeder } from '../../../../../server/model/feeds.ts';
import { artifactWeights, checkpointWeights } from '../../../../../server/model/weights.ts';
import { rewardOutputs } from '../../../../../server/onnx/blocks/reward.ts';
import { type OpenModel, openModel, randomRows } from '../../../../support/convert-kit.ts';
import { neverAborted } from '../../../../support/engine-kit.ts';
import { largestDifference } from '../../../../support/run-graph.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

async function convertTo(
  file: string,
  { blueprint, sources }: OpenModel,
  quantization: Quantization,
): Promise<{ fidelity: Fidelity; counted: number }> {
  const plan = planTensors(blueprint, sources, quantization);
  const layout = layOutArtifact(file, plan, {});
  const handle = await open(file, 'w+');
  let counted = 0;
  const meter = { add: (bytes: number) => void (counted += bytes) };
  const readings = { calibration: [], probe: randomRows([30, 10], 256) };
  try {
    const conversion = { blueprint, sources, plan, layout, readings, threads: 1, meter };
    return { fidelity: await convert(handle, conversion, neverAborted), counted };
  } finally {
    await handle.close();
  }
}

describe('convert', () => {
  it('writes a file that opens whole, with its fidelity in it', async () => {
    using folder = temporaryFolder();
    const model = await openModel('llama');
    const file = path.join(folder.path, 'a.safetensors');

    const { fidelity, counted } = await convertTo(file, model, 'Int8');

    const artifact = await openArtifact(file, model.blueprint.tensors, neverAborted);
    assert.ok(artifact, 'the file is not whole');
    assert.deepEqual(await readFidelity(artifact.fidelity), fidelity);
    assert.ok(fidelity.kl > 0 && fidelity.kl < 0.01, `divergence ${fidelity.kl}`);
    const stored = [...model.sources.values()].reduce((sum, { data }) => sum + data.length, 0);
    assert.equal(counted, stored);
  });

  it('is no divergence at all when nothing is rounded', async () => {
    using folder = temporaryFolder();
    const model = await openModel('llama');

    const { fidelity } = await convertTo(path.join(folder.path, 'a'), model, 'None');

    assert.equal(fidelity.maxAbsDelta, 0);
  });

  it('measures what the converted model then really answers', async () => {
    using folder = temporaryFolder();
    const model = await openModel('reward-llama');
    const { blueprint, sources } = model;
    const file = path.join(folder.path, 'a');
    const rows = randomRows([30, 10], 256);

    const { fidelity } = await convertTo(file, model, 'Int8');

    const plan = planTensors(blueprint, sources, 'Int8');
    const artifact = artifactOf(layOutArtifact(file, plan, {}).tensors, blueprint.tensors);
    const answers = await Promise.all(
      [checkpointWeights(sources), artifactWeights(artifact)].map(async (weights) => {
        const engine = await Engine.load(blueprint.graph(weights), { threads: 1 });
        const packed = packTokens(rows.map((tokens) => ({ tokens })));
        const results = await engine.run(new Feeder(blueprint.decoder).rewards(packed));
        const rewards = Float32Array.from(results.floats(rewardOutputs.rewards));
        await engine.release();
        return rewards;
      }),
    );
    const difference = largestDifference(answers[0]!, answers[1]!);
    assert.ok(
      Math.abs(difference - fidelity.maxAbsDelta) < 1e-4,
      `differs by ${difference}, said ${fidelity.maxAbsDelta}`,
    );
  });
});
