import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import golden from '../../../../../examples/models/tiny-python-llama/golden.json' with {
  type: 'json',
};
import { BigramModels } from '../../../../support/bigram-model.ts';
import { type ServerKit, startServerKit } from '../../../../support/server-kit.ts';
import { chatFolder } from '../../../../support/text-kit.ts';

const [row] = golden.rows;
const text = row?.text ?? '';
const ids = row?.input_ids ?? [];
const messages = [{ role: 'user', content: 'def' }];

describe('/tokenize, /detokenize and /tokenizer_info', () => {
  let kit: ServerKit;
  let folder: Awaited<ReturnType<typeof chatFolder>>;

  before(async () => {
    folder = await chatFolder();
    const { load } = new BigramModels({ folder: folder.path, contextTokens: 1000 });
    kit = await startServerKit({ load });
  });
  after(async () => {
    await kit[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  it('make ids of a text, with what the tokenizer adds unless told otherwise', async () => {
    const { body } = await kit.post('/tokenize', { prompt: text });
    const bare = await kit.post('/tokenize', { prompt: text, add_special_tokens: false });

    assert.deepEqual(body, {
      count: ids.length,
      max_model_len: 64,
      tokens: ids,
      token_strs: null,
    });
    assert.deepEqual(bare.body.tokens, ids.slice(1));
  });

  it('tell the names of the tokens where asked', async () => {
    const { body } = await kit.post('/tokenize', { prompt: ' return', return_token_strs: true });

    assert.deepEqual(body.token_strs, ['<bos>', 'Ġreturn']);
  });

  it('write messages as the template does, ready for an answer, with one first token', async () => {
    const chat = await kit.post('/tokenize', { messages });
    const prompt = '<bos>[user]def[assistant]';
    const same = await kit.post('/tokenize', { prompt, add_special_tokens: false });
    const whole = await kit.post('/tokenize', { messages, add_special_tokens: true });

    assert.deepEqual(chat.body, same.body);
    assert.deepEqual(whole.body, same.body);
  });

  it('make a text of ids', async () => {
    const { status, body } = await kit.post('/detokenize', { tokens: [1, 2] });

    assert.equal(status, 200);
    assert.deepEqual(body, { prompt: '<bos><eos>' });
  });

  it('tell the configuration of the tokenizer', async () => {
    const { body } = await kit.get('/tokenizer_info');

    assert.equal(body.eos_token, '<eos>');
    assert.match(body.chat_template, /add_generation_prompt/);
  });

  it('refuse what they cannot mean', async () => {
    for (const [route, body, code] of [
      ['/tokenize', {}, 'INVALID_REQUEST'],
      ['/tokenize', { messages: [] }, 'INVALID_REQUEST'],
      ['/tokenize', { messages, chat_template: 'x' }, 'INVALID_REQUEST'],
      ['/tokenize', { prompt: 'x'.repeat(100_000) }, 'SEQUENCE_TOO_LONG'],
      ['/detokenize', { tokens: [] }, 'EMPTY_BATCH'],
      ['/detokenize', { tokens: [64] }, 'TOKEN_OUT_OF_RANGE'],
      ['/detokenize', { tokens: ['a'] }, 'INVALID_REQUEST'],
    ] as const) {
      const answer = await kit.post(route, body);

      assert.deepEqual([answer.status, answer.body.error.code], [400, code]);
    }
  });
});
