import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { check } from '../../../../operator/cli/check.ts';
import { offlineHub } from '../../../../server/model/hub/settings.ts';
import { classManifest, modelManifest } from '../../../support/builders.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const never = new AbortController().signal;
const settings = {
  gpuClass: undefined,
  volumes: new Map([['models', 'examples/models']]),
  hub: offlineHub,
  asksFit: true,
};
const onVolume = (path: string, spec: object = {}) =>
  modelManifest({
    spec: { model: { persistentVolumeClaim: { claimName: 'models', path } }, ...spec },
  });
const small = (memory: string) =>
  classManifest({
    metadata: { annotations: { 'refmodel.dev/is-default-class': 'true' } },
    spec: { memory },
  });

const checked = async (objects: object[], overrides: object = {}) => {
  using folder = temporaryFolder();
  const files = objects.map((object, i) => {
    const file = join(folder.path, `${i}.json`);
    writeFileSync(file, JSON.stringify(object));
    return file;
  });
  return await check(files, { ...settings, ...overrides }, never);
};

describe('checking manifests', () => {
  it('says that a model fits, or that it is too large, for the class in them', async () => {
    const model = onVolume('tiny-python-llama');
    const [fits] = await checked([model, small('4Gi')]);
    const [large] = await checked([model, small('1Mi')]);

    assert.deepEqual([fits?.name, fits?.verdict], ['rl/tiny', 'fits']);
    assert.equal(large?.verdict, 'too large');
  });

  it('takes the memory that is given where no manifest has the class', async () => {
    const model = onVolume('tiny-python-llama', { gpuClass: 'a10' });
    const gpuClass = { executionProvider: 'CUDA', memory: '1Mi' };

    assert.equal((await checked([model]))[0]?.verdict, 'valid');
    assert.equal((await checked([model], { gpuClass }))[0]?.verdict, 'too large');
  });

  it('names the field of an invalid manifest, and goes on with the others', async () => {
    const wrong = onVolume('x', { quantization: 'Int3' });

    const findings = await checked([wrong, onVolume('tiny-python-llama')], { asksFit: false });

    assert.deepEqual(
      findings.map(({ verdict }) => verdict),
      ['invalid', 'valid'],
    );
    assert.match(findings[0]?.message ?? '', /spec\.quantization/);
  });

  it('does not call a model wrong of which nothing can be read here', async () => {
    const [finding] = await checked([onVolume('nowhere'), small('4Gi')]);

    assert.equal(finding?.verdict, 'unknown');
    assert.match(finding?.message ?? '', /MODEL_FILES_MISSING/);
  });

  it('is wrong use where there is no model to check', async () => {
    await assert.rejects(checked([small('4Gi')]), { code: 'MANIFEST_INVALID' });
  });
});
