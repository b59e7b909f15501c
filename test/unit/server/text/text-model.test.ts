import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import golden from '../../../../examples/models/tiny-python-llama/golden.json' with {
  type: 'json',
};
import { TextModel } from '../../../../server/text/text-model.ts';
import { chatFolder } from '../../../support/text-kit.ts';
import { volumeOf } from '../../../support/volume.ts';

const tiny = 'examples/models/tiny-python-llama';
const encode = (model: TextModel, text: string, addSpecialTokens: boolean, maxTokens = 1000) =>
  Array.from(model.encode({ texts: [{ text, addSpecialTokens }], maxTokens })[0] ?? []);
const options = { addGenerationPrompt: false, continueFinalMessage: false, variables: {} };

describe('the texts of a model', () => {
  it('are the ids that the model was trained on, there and back', async () => {
    const model = await TextModel.open(volumeOf(tiny));

    for (const { input_ids, text } of golden.rows) {
      assert.deepEqual(encode(model, `<bos>${text}`, false), input_ids);
      const [back] = model.decode({ rows: [input_ids], skipSpecialTokens: true });
      assert.equal(back, text);
    }
  });

  it('begin with one first token, whoever wrote it', async () => {
    using folder = await chatFolder();
    const model = await TextModel.open(volumeOf(folder.path));
    const bare = encode(model, 'def', false);

    assert.deepEqual(encode(model, 'def', true), [1, ...bare]);
    assert.deepEqual(encode(model, '<bos>def', true), [1, ...bare]);
    assert.deepEqual(encode(model, '<bos>def', false), [1, ...bare]);
    const messages = [{ role: 'user', content: 'def' }];
    const [text = ''] = model.chat({ conversations: [{ messages, options }] });
    assert.equal(text, '<bos>[user]def');
    assert.deepEqual(encode(model, text, true), encode(model, text, false));
    assert.equal(encode(model, text, true).filter((id) => id === 1).length, 1);
  });

  it('begin and end as the configuration of the tokenizer says, whatever tokenizer.json does', async () => {
    using folder = await chatFolder();
    const ids = async (config: object) => {
      const names = { bos_token: '<bos>', eos_token: { content: '<eos>' } };
      const text = JSON.stringify({ ...names, ...config });
      await writeFile(join(folder.path, 'tokenizer_config.json'), text);
      return encode(await TextModel.open(volumeOf(folder.path)), 'def', true);
    };
    const bare = encode(await TextModel.open(volumeOf(folder.path)), 'def', false);

    assert.deepEqual(await ids({}), [1, ...bare]);
    assert.deepEqual(await ids({ add_bos_token: false }), bare);
    assert.deepEqual(await ids({ add_bos_token: true, add_eos_token: true }), [1, ...bare, 2]);
  });

  it('keep a second first token that the text itself has', async () => {
    using folder = await chatFolder();
    const model = await TextModel.open(volumeOf(folder.path));

    assert.deepEqual(encode(model, '<bos><bos>', true), [1, 1]);
  });

  it('show single tokens, special ones too, and their names', async () => {
    const model = await TextModel.open(volumeOf(tiny));
    const ids = [1, ...encode(model, ' return', false)];

    assert.deepEqual(model.tokens({ ids }), ['<bos>', ' return']);
    assert.deepEqual(model.names({ ids: [...ids, 1e9] }), ['<bos>', 'Ġreturn', null]);
    assert.deepEqual(model.decode({ rows: [[1, 2]], skipSpecialTokens: false }), ['<bos><eos>']);
    assert.deepEqual(model.decode({ rows: [[1, 2]], skipSpecialTokens: true }), ['']);
  });

  it('are refused unread when they cannot be short enough', async () => {
    const model = await TextModel.open(volumeOf(tiny));
    const text = 'x'.repeat(1_000_000);

    assert.throws(() => encode(model, text, false, 10), { code: 'SEQUENCE_TOO_LONG' });
  });

  it('come with the configuration and the template of the tokenizer', async () => {
    using folder = await chatFolder('template');
    const [plain, chatty] = [
      await TextModel.open(volumeOf(tiny)),
      await TextModel.open(volumeOf(folder.path)),
    ];

    assert.equal(plain.describe()['eos_token'], '<eos>');
    assert.equal('chat_template' in plain.describe(), false);
    assert.equal(chatty.describe()['chat_template'], 'template');
  });

  it('are not to be had without a tokenizer', () =>
    assert.rejects(TextModel.open(volumeOf('/nowhere')), { code: 'TOKENIZER_UNAVAILABLE' }));
});
