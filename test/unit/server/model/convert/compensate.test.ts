import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { artifactOf, layOutArtifact } from '../../../../../server/model/convert/artifact.ts';
import { compensateLayer } from '../../../../../server/model/convert/compensate.ts';
import { Forward, passagesOf } from '../../../../../server/model/convert/forward.ts';
import { openMultiplier } from '../../../../../server/model/convert/multiply.ts';
import { planTensors } from '../../../../../server/model/convert/plan.ts';
import { openQuantizer } from '../../../../../server/model/convert/quantizer.ts';
import { convertTensor } from '../../../../../server/model/convert/tensor.ts';
import { artifactWeights, checkpointWeights } from '../../../../../server/model/weights.ts';
import { openModel, randomRows } from '../../../../support/convert-kit.ts';
import { neverAborted } from '../../../../support/engine-kit.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

describe('compensateLayer', () => {
  it('writes the 4-bit matrices that were observed, closer in what they give than rounding each weight alone', async () => {
    using folder = temporaryFolder();
    const { blueprint, sources } = await openModel('llama');
    const plan = planTensors(blueprint, sources, 'Int4').filter(({ name }) =>
      name.startsWith('model.layers.0.'),
    );
    const specs = blueprint.tensors.filter(({ name }) => name.startsWith('model.layers.0.'));
    const file = path.join(folder.path, 'a');
    const layout = layOutArtifact(file, plan, {});
    const artifact = artifactOf(layout.tensors, specs);
    const jobs = plan.map((tensor) => ({ tensor, placed: artifact.tensors.get(tensor.name)! }));
    const forward = new Forward(blueprint, 1);
    const passages = passagesOf(
      blueprint,
      randomRows(
        Array.from({ length: 40 }, () => 100),
        256,
      ),
    );
    const weights = checkpointWeights(sources);
    const hidden = await forward.embed(passages, weights, neverAborted);
    const handle = await open(file, 'w+');
    await using quantizer = openQuantizer(1);
    await using multiplier = await openMultiplier(1);
    let counted = 0;
    const meter = { add: (bytes: number) => void (counted += bytes) };
    const tools = { quantizer, multiply: multiplier.multiply, meter };
    const off = async (): Promise<number> => {
      const through = { weights: artifactWeights(artifact), hidden };
      const found = await forward.layer(0, passages, through, neverAborted);
      return found.reduce(
        (sum, rows, at) => sum + rows.reduce((s, x, i) => s + (x - expected[at]![i]!) ** 2, 0),
        0,
      );
    };

    const { addSquare } = multiplier;
    const watched = { weights, hidden, other: hidden, addSquare };
    const seen = await forward.observe(0, passages, watched, neverAborted);
    const expected = seen.hidden;
    for (const job of jobs) await convertTensor(handle, job, tools, neverAborted);
    const alone = await off();
    counted = 0;
    const done = await compensateLayer(
      handle,
      { jobs, observed: seen.observed },
      tools,
      neverAborted,
    );
    const compensated = await off();
    await handle.close();

    const matrices = jobs.filter(({ tensor }) => tensor.format === 'Int4');
    assert.deepEqual([...done].sort(), matrices.map(({ tensor }) => tensor.name).sort());
    const bytes = matrices.reduce((sum, { tensor }) => sum + tensor.source.data.length, 0);
    assert.equal(counted, bytes);
    assert.ok(
      compensated < 0.95 * alone,
      `the square of the error: ${compensated}, alone ${alone}`,
    );
  });
});
