import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { readCheckpoint } from '../../../../../server/model/checkpoint/source.ts';
import { goldenRoot, neverAborted } from '../../../../support/engine-kit.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

const read = (root: string, folder: string) => readCheckpoint({ root, path: folder }, neverAborted);

/** A volume with a copy of a golden model in the folder `model`. */
function volumeWith(model: string) {
  const folder = temporaryFolder();
  cpSync(path.join(goldenRoot, model), path.join(folder.path, 'model'), { recursive: true });
  const at = (...names: string[]) => path.join(folder.path, 'model', ...names);
  return { path: folder.path, at, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

describe('readCheckpoint', () => {
  it('finds config and tensors of a single file', async () => {
    const { folder, files, tensors } = await read(goldenRoot, 'llama');

    assert.equal(folder, path.join(goldenRoot, 'llama'));
    assert.deepEqual([...files.keys()], ['config.json', 'model.safetensors']);
    assert.ok(tensors.has('lm_head.weight'));
  });

  it('gathers the shards that the index names', async () => {
    const { files, tensors } = await read(goldenRoot, 'llama-fp16-sharded');

    assert.equal(files.size, 4);
    assert.ok(tensors.has('lm_head.weight') && tensors.has('model.embed_tokens.weight'));
  });

  it('follows links that stay in the volume', async () => {
    using volume = volumeWith('llama');
    mkdirSync(path.join(volume.path, 'blobs'));
    renameSync(volume.at('model.safetensors'), path.join(volume.path, 'blobs/abc'));
    symlinkSync('../blobs/abc', volume.at('model.safetensors'));

    const { files } = await read(volume.path, 'model');

    assert.equal(files.get('model.safetensors'), path.join(volume.path, 'blobs/abc'));
  });

  for (const folder of ['..', '../other', '/etc', 'a/../../b']) {
    it(`refuses the path ${folder}`, async () => {
      using volume = volumeWith('llama');

      await assert.rejects(read(volume.path, folder), { code: 'PATH_ESCAPES_VOLUME' });
    });
  }

  const links = [
    { name: 'folder', link: 'linked', target: 'llama', model: 'linked' },
    {
      name: 'weights file',
      link: 'model/model.safetensors',
      target: 'llama/model.safetensors',
      model: 'model',
    },
    { name: 'config', link: 'model/config.json', target: 'llama/config.json', model: 'model' },
  ];
  for (const { name, link, target, model } of links) {
    it(`refuses a ${name} that links out of the volume`, async () => {
      using volume = volumeWith('llama');
      rmSync(path.join(volume.path, link), { force: true });
      symlinkSync(path.join(goldenRoot, target), path.join(volume.path, link));

      await assert.rejects(read(volume.path, model), { code: 'PATH_ESCAPES_VOLUME' });
    });
  }

  it('refuses a shard that the index places outside', async () => {
    using volume = volumeWith('llama');
    rmSync(volume.at('model.safetensors'));
    const index = { weight_map: { 'lm_head.weight': '../../outside.safetensors' } };
    writeFileSync(volume.at('model.safetensors.index.json'), JSON.stringify(index));

    await assert.rejects(read(volume.path, 'model'), { code: 'PATH_ESCAPES_VOLUME' });
  });

  const missing = [
    { name: 'no folder', change: (at: string) => rmSync(at, { recursive: true }) },
    { name: 'no config.json', change: (at: string) => rmSync(path.join(at, 'config.json')) },
    { name: 'no weights', change: (at: string) => rmSync(path.join(at, 'model.safetensors')) },
    {
      name: 'pickles only',
      change: (at: string) =>
        renameSync(path.join(at, 'model.safetensors'), path.join(at, 'pytorch_model.bin')),
    },
    ...['config.json', 'model.safetensors'].map((file) => ({
      name: `a folder in place of ${file}`,
      change: (at: string) => {
        rmSync(path.join(at, file));
        mkdirSync(path.join(at, file));
      },
    })),
    {
      name: 'a folder in place of the index',
      change: (at: string) => {
        rmSync(path.join(at, 'model.safetensors'));
        mkdirSync(path.join(at, 'model.safetensors.index.json'));
      },
    },
    {
      name: 'a file in place of the folder',
      change: (at: string) => {
        rmSync(at, { recursive: true });
        writeFileSync(at, '');
      },
    },
  ];
  for (const { name, change } of missing) {
    it(`says MODEL_FILES_MISSING when there is ${name}`, async () => {
      using volume = volumeWith('llama');
      change(volume.at());

      await assert.rejects(read(volume.path, 'model'), { code: 'MODEL_FILES_MISSING' });
    });
  }

  it('does not wait for what is written into a pipe', async () => {
    using volume = volumeWith('llama');
    rmSync(volume.at('model.safetensors'));
    execFileSync('mkfifo', [volume.at('model.safetensors')]);

    await assert.rejects(read(volume.path, 'model'), { code: 'MODEL_FILES_MISSING' });
  });

  it('says MODEL_FILES_MISSING when a shard is missing', async () => {
    using volume = volumeWith('llama-fp16-sharded');
    rmSync(volume.at('model-00002-of-00003.safetensors'));

    await assert.rejects(read(volume.path, 'model'), { code: 'MODEL_FILES_MISSING' });
  });

  it('says WEIGHTS_CORRUPT when a file is cut short', async () => {
    using volume = volumeWith('llama-fp16-sharded');
    truncateSync(volume.at('model-00003-of-00003.safetensors'), 1000);

    await assert.rejects(read(volume.path, 'model'), { code: 'WEIGHTS_CORRUPT' });
  });

  it('says TENSOR_MISSING when a shard lacks what the index places there', async () => {
    using volume = volumeWith('llama-fp16-sharded');
    const index = { weight_map: { nowhere: 'model-00001-of-00003.safetensors' } };
    writeFileSync(volume.at('model.safetensors.index.json'), JSON.stringify(index));

    await assert.rejects(read(volume.path, 'model'), { code: 'TENSOR_MISSING' });
  });

  it('says CONFIG_INVALID when config.json is not JSON', async () => {
    using volume = volumeWith('llama');
    writeFileSync(volume.at('config.json'), '{');

    await assert.rejects(read(volume.path, 'model'), { code: 'CONFIG_INVALID' });
  });

  it('says WEIGHTS_CORRUPT when the index has no map', async () => {
    using volume = volumeWith('llama-fp16-sharded');
    writeFileSync(volume.at('model.safetensors.index.json'), '{"weight_map": 3}');

    await assert.rejects(read(volume.path, 'model'), { code: 'WEIGHTS_CORRUPT' });
  });
});
