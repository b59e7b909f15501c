import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { select, selectParts } from '../../../../../server/model/hub/selection.ts';

const commit = 'c'.repeat(40);
const listing = (...names: string[]) => ({
  commit,
  files: names.map((name) => ({ name, size: 1, etag: 'e'.repeat(40) })),
});
const namesOf = (files: readonly { name: string }[]) => files.map(({ name }) => name);

describe('select', () => {
  it('takes configuration, tokenizer and weights, and nothing else', () => {
    const wanted = [
      'config.json',
      'generation_config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'special_tokens_map.json',
      'vocab.json',
      'merges.txt',
      'chat_template.jinja',
    ];
    const others = ['README.md', 'pytorch_model.bin', 'training_args.bin', 'model.gguf', 'x.json'];

    const { small, single, index } = select(
      'a/b',
      listing(...wanted, ...others, 'model.safetensors'),
    );

    assert.deepEqual(namesOf(small), wanted);
    assert.equal(single?.name, 'model.safetensors');
    assert.equal(index, undefined);
  });

  it('takes the index of weights in parts, unless there is a whole', () => {
    const index = 'model.safetensors.index.json';

    assert.equal(select('a/b', listing('config.json', index)).index?.name, index);
    assert.equal(
      select('a/b', listing('config.json', index, 'model.safetensors')).index,
      undefined,
    );
  });

  for (const [name, files, says] of [
    ['no config.json', ['model.safetensors'], /has no config.json/],
    ['no weights', ['config.json'], /has neither model.safetensors/],
    ['pickle files only', ['config.json', 'pytorch_model.bin'], /pickle .*pytorch_model.bin/],
  ] as const) {
    it(`says MODEL_FILES_MISSING for ${name}`, () => {
      assert.throws(() => select('a/b', listing(...files)), {
        code: 'MODEL_FILES_MISSING',
        message: says,
      });
    });
  }
});

describe('selectParts', () => {
  it('finds the parts', () => {
    assert.deepEqual(namesOf(selectParts('a/b', listing('x', 'y', 'z'), ['y', 'z'])), ['y', 'z']);
  });

  it('says MODEL_FILES_MISSING for a part that is not there, or elsewhere', () => {
    for (const part of ['w', '../y', '/etc/passwd']) {
      assert.throws(() => selectParts('a/b', listing('x', 'y'), ['x', part]), {
        code: 'MODEL_FILES_MISSING',
      });
    }
  });
});
