import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readPrompts, toRows } from '../../../../server/api/prompts.ts';
import { forever, scoringKit } from '../../../support/scoring-kit.ts';
import { catalogModel } from '../../../support/server-kit.ts';
import { chatFolder } from '../../../support/text-kit.ts';

const model = catalogModel('rl/a');
const read = (value: string | readonly unknown[]) => readPrompts('prompt', value, true);

describe('readPrompts', () => {
  it('tells the four shapes of a prompt apart', () => {
    const text = (content: string) => ({ text: content, addSpecialTokens: true });

    assert.deepEqual(read('a'), { prompts: [text('a')], isList: false });
    assert.deepEqual(read(['a', 'b']), { prompts: [text('a'), text('b')], isList: true });
    assert.deepEqual(read([1, 2]), { prompts: [[1, 2]], isList: false });
    assert.deepEqual(read([[1], [2, 3]]), { prompts: [[1], [2, 3]], isList: true });
    assert.deepEqual(read([]), { prompts: [], isList: true });
  });

  it('names what is neither a text nor ids', () => {
    for (const value of [[null], ['a', 1], [[1], {}]]) {
      assert.throws(() => read(value), { code: 'INVALID_REQUEST', message: /prompt\[\d\]/ });
    }
  });
});

describe('toRows', () => {
  it('loads no model for ids', async () => {
    const { cache, models } = scoringKit();

    const rows = await toRows(cache, model, { field: 'prompt', prompts: [[1, 2]] }, forever);

    assert.deepEqual(rows, [{ ids: [1, 2], start: 0, end: 2 }]);
    assert.deepEqual(models.loads, []);
  });

  it('keeps the order of ids, texts and conversations, and gives each one first token', async () => {
    using folder = await chatFolder();
    const { cache } = scoringKit({ folder: folder.path });
    const options = { addGenerationPrompt: true, continueFinalMessage: false, variables: {} };
    const messages = [{ role: 'user', content: 'def' }];
    const text = { text: 'def', addSpecialTokens: true };
    const chat = { messages, options, addSpecialTokens: false, answer: 'def' };
    const written = { text: '<bos>[user]def[assistant]def', addSpecialTokens: true };
    const prompts = [[7, 8], chat, text, written];

    const rows = await toRows(cache, model, { field: 'prompt', prompts }, forever);

    const ids = rows.map((row) => row.ids);
    assert.deepEqual(ids[0], [7, 8]);
    assert.deepEqual(ids[1], ids[3]);
    assert.deepEqual(
      ids.slice(1).map((row) => row.filter((id) => id === 1).length),
      [1, 1, 1],
    );
    await cache.close();
  });

  it('refuses a text without a token, naming it', async () => {
    const { cache } = scoringKit({ folder: 'examples/models/tiny-python-llama' });
    const prompts = [[1], { text: '', addSpecialTokens: false }];

    await assert.rejects(toRows(cache, model, { field: 'prompt', prompts }, forever), {
      code: 'EMPTY_BATCH',
      message: /prompt\[1\]/,
    });
    await cache.close();
  });
});
