import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { ErrorCode } from '../../../../../common/errors.ts';
import { readInside } from '../../../../../server/model/checkpoint/inside.ts';
import { readConfig } from '../../../../../server/model/checkpoint/source.ts';
import {
  readChatTemplate,
  readTokenizer,
  readTokenizerConfig,
  tokenizerDigest,
} from '../../../../../server/model/checkpoint/tokenizer.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

/** A volume with a folder "model", and beside the volume what nobody may reach through it. */
function volume() {
  const folder = temporaryFolder();
  const root = join(folder.path, 'volume');
  mkdirSync(join(root, 'model'), { recursive: true });
  writeFileSync(join(folder.path, 'secret'), '{"secret":"hf_x"}');
  writeFileSync(join(root, 'shared.json'), '{}');
  mkdirSync(join(folder.path, 'outside'));
  writeFileSync(join(folder.path, 'outside', 'config.json'), '{"secret":"hf_x"}');
  return {
    root,
    secret: join(folder.path, 'secret'),
    model: { root, path: 'model' },
    place: (name: string) => join(root, 'model', name),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

describe('a file of a volume', () => {
  it('is read, also by a link that stays inside', async () => {
    using at = volume();
    symlinkSync('../shared.json', at.place('config.json'));

    assert.equal(String(await readInside(at.model, 'config.json')), '{}');
    assert.deepEqual((await readConfig(at.model)).config, {});
  });

  const names: { name: string; code: ErrorCode }[] = [
    { name: '../../secret', code: 'PATH_ESCAPES_VOLUME' },
    { name: '/etc/passwd', code: 'PATH_ESCAPES_VOLUME' },
    { name: 'x/../../../secret', code: 'PATH_ESCAPES_VOLUME' },
    { name: '..', code: 'MODEL_FILES_MISSING' },
    { name: 'config.json\0.txt', code: 'MODEL_FILES_MISSING' },
    { name: '', code: 'MODEL_FILES_MISSING' },
    { name: '$(touch x)', code: 'MODEL_FILES_MISSING' },
  ];
  for (const { name, code } of names) {
    it(`is not ${JSON.stringify(name)}`, async () => {
      using at = volume();

      await assert.rejects(readInside(at.model, name), { code });
    });
  }

  const folders = ['..', '../outside', '/etc', 'model/../../outside', 'link', 'model\0/x'];
  for (const path of folders) {
    it(`is in no model at ${JSON.stringify(path)}`, async () => {
      using at = volume();
      symlinkSync('../outside', join(at.root, 'link'));
      const code = path.includes('\0') ? 'MODEL_FILES_MISSING' : 'PATH_ESCAPES_VOLUME';

      await assert.rejects(readConfig({ root: at.root, path }), { code });
      await assert.rejects(readInside({ root: at.root, path }, 'config.json'), { code });
    });
  }

  const reads = {
    'config.json': readConfig,
    'tokenizer.json': readTokenizer,
    'tokenizer_config.json': readTokenizerConfig,
    'chat_template.jinja': readChatTemplate,
    'chat_template.json': readChatTemplate,
  };
  for (const [name, read] of Object.entries(reads)) {
    it(`is not what ${name} links to outside`, async () => {
      using at = volume();
      symlinkSync(at.secret, at.place(name));

      await assert.rejects(Promise.resolve(read(at.model)), { code: 'PATH_ESCAPES_VOLUME' });
    });
  }

  it('has no digest where it is outside', async () => {
    using at = volume();
    assert.equal(await tokenizerDigest(at.model), undefined);
    symlinkSync(at.secret, at.place('tokenizer.json'));

    await assert.rejects(tokenizerDigest(at.model), { code: 'PATH_ESCAPES_VOLUME' });
  });

  it('is no pipe, which would be waited for', async () => {
    using at = volume();
    spawnSync('mkfifo', [at.place('chat_template.jinja')]);

    await assert.rejects(readChatTemplate(at.model), { code: 'MODEL_FILES_MISSING' });
  });
});
