import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../../../common/log.ts';
import golden from '../../../../../examples/models/tiny-python-llama/golden.json' with {
  type: 'json',
};
import { openTokenizer } from '../../../../../server/model/checkpoint/tokenizer.ts';

const folder = 'examples/models/tiny-python-llama';
const skipsSpecial = true;

describe('openTokenizer', () => {
  it('gives the text that the ids were made from', async () => {
    const texts = await openTokenizer(folder, silentLogger);
    const [row] = golden.rows;
    assert.ok(row);

    assert.equal(texts.join(row.input_ids, { skipsSpecial }), row.text);
    assert.equal(
      row.input_ids
        .slice(1)
        .map((id) => texts.token(id))
        .join(''),
      row.text,
    );
  });

  it('shows special tokens alone, and leaves them out of a text where asked', async () => {
    const texts = await openTokenizer(folder, silentLogger);

    assert.equal(texts.token(1), '<bos>');
    assert.equal(texts.join([1, 2], { skipsSpecial: false }), '<bos><eos>');
    assert.equal(texts.join([1, 2], { skipsSpecial }), '');
  });

  it('numbers the tokens of a checkpoint without one', async () => {
    const texts = await openTokenizer('/nowhere', silentLogger);

    assert.equal(texts.token(5), 'token_id:5');
    assert.equal(texts.join([5], { skipsSpecial }), '');
  });

  it('does without tokenizer_config.json, and numbers where tokenizer.json is broken', async () => {
    const copy = await mkdtemp(join(tmpdir(), 'refmodel-tokenizer-'));
    await cp(join(folder, 'tokenizer.json'), join(copy, 'tokenizer.json'));
    assert.equal((await openTokenizer(copy, silentLogger)).token(1), '<bos>');

    await writeFile(join(copy, 'tokenizer.json'), '{"model":');
    assert.equal((await openTokenizer(copy, silentLogger)).token(1), 'token_id:1');
    await rm(copy, { recursive: true });
  });
});
