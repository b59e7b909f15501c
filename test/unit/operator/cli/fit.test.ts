import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../../../common/errors.ts';
import { quantizations } from '../../../../crds/reference-model.ts';
import { fitOf, ofParameters, parameterCount, reasonOf } from '../../../../operator/cli/fit.ts';
import { askedBytes, shapes } from '../../../../scripts/capacity.ts';
import { offlineHub } from '../../../../server/model/hub/settings.ts';
import { cpuTarget } from '../../../../server/onnx/target.ts';
import { referenceModel } from '../../../support/builders.ts';

const never = new AbortController().signal;
const parameters = { '1 B': 1.24e9, '8 B': 8.03e9, '70 B': 70.6e9 } as const;

describe('whether a model fits', () => {
  it('is computed from a checkpoint as a pod computes it', async () => {
    const model = (path: string) =>
      referenceModel({ spec: { model: { persistentVolumeClaim: { claimName: 'models', path } } } });
    const fit = (memory: string) =>
      fitOf(
        model('tiny-python-llama'),
        {
          gpuClass: { executionProvider: 'CPU', memory },
          volumes: new Map([['models', 'examples/models']]),
          hub: offlineHub,
        },
        never,
      );

    const { needs, fits } = await fit('4Gi');

    // 2.8 million parameters in 8 bits
    assert.ok(needs > 2.7e6 && needs < 4e6, `${needs} bytes`);
    assert.equal(fits, true);
    assert.equal((await fit(`${needs}`)).fits, true);
    assert.equal((await fit(`${needs - 1}`)).fits, false);
  });

  it('is not known of a claim that is not here', async () => {
    const options = {
      gpuClass: { executionProvider: 'CPU', memory: '4Gi' } as const,
      volumes: new Map<string, string>(),
      hub: offlineHub,
    };

    await assert.rejects(fitOf(referenceModel(), options, never), { code: 'MODEL_FILES_MISSING' });
  });

  for (const [name, config] of Object.entries(shapes)) {
    for (const quantization of quantizations) {
      it(`is near the truth from the number of parameters: ${name} in ${quantization}`, () => {
        const count = parameters[name as keyof typeof parameters];
        const { host } = askedBytes(config, quantization, cpuTarget);
        const { device } = askedBytes(config, quantization, { provider: 'CUDA', type: 'bfloat16' });

        const [cpu, gpu] = (['CPU', 'CUDA'] as const).map((provider) =>
          ofParameters(count, quantization, provider),
        );

        assert.ok(Math.abs((cpu ?? 0) / host - 1) < 0.35, `CPU: ${cpu} for ${host}`);
        assert.ok(Math.abs((gpu ?? 0) / device - 1) < 0.35, `GPU: ${gpu} for ${device}`);
      });
    }
  }

  it('reads numbers of parameters as people write them', () => {
    assert.deepEqual(['8B', '1.5b', '270M', '12'].map(parameterCount), [8e9, 1.5e9, 270e6, 12]);
    assert.deepEqual(['', 'B', '8 B', '-1'].map(parameterCount), Array(4).fill(undefined));
  });

  it('has a code for what is thrown', () => {
    assert.equal(reasonOf(new AppError('DISK_FULL', 'x')).code, 'DISK_FULL');
    assert.equal(reasonOf('x').code, 'INTERNAL');
  });
});
