import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  readChatTemplate,
  readTokenizer,
  readTokenizerConfig,
} from '../../../../../server/model/checkpoint/tokenizer.ts';
import { volumeOf } from '../../../../support/volume.ts';

const tiny = 'examples/models/tiny-python-llama';

async function withCopy(files: Record<string, string>, use: (folder: string) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'refmodel-tokenizer-'));
  await cp(join(tiny, 'tokenizer.json'), join(folder, 'tokenizer.json'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  await use(folder);
  await rm(folder, { recursive: true });
}

describe('readTokenizer', () => {
  it('does without tokenizer_config.json', () =>
    withCopy({}, async (folder) => {
      assert.equal((await readTokenizer(volumeOf(folder))).token_to_id('<bos>'), 1);
      assert.deepEqual(await readTokenizerConfig(volumeOf(folder)), {});
    }));

  it('rejects where tokenizer.json is missing or broken', async () => {
    await assert.rejects(readTokenizer(volumeOf('/nowhere')));
    await withCopy({ 'tokenizer.json': '{"model":' }, (folder) =>
      assert.rejects(readTokenizer(volumeOf(folder))),
    );
  });
});

describe('readChatTemplate', () => {
  it('takes the file of its own, then the wrapped one, then what the configuration has', async () => {
    const config = { 'tokenizer_config.json': '{"chat_template": "in the configuration"}' };
    const wrapped = { 'chat_template.json': '{"chat_template": "wrapped"}' };
    const own = { 'chat_template.jinja': 'of its own' };
    for (const [files, want] of [
      [{}, undefined],
      [config, 'in the configuration'],
      [{ ...config, ...wrapped }, 'wrapped'],
      [{ ...config, ...wrapped, ...own }, 'of its own'],
    ] as const) {
      await withCopy(files, async (folder) => {
        assert.equal(await readChatTemplate(volumeOf(folder)), want);
      });
    }
  });
});
