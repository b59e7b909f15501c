import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import {
  activationOf,
  common,
  gatedMlp,
  headOf,
  headsOf,
  innerAndOuterNorms,
  layersOf,
  layerTypes,
  mixtureOf,
  preNorms,
  rms,
  separateAttention,
  size,
  slides,
  trunk,
} from '../../../../../server/onnx/arch/common.ts';
import { tinyConfig } from '../../../../support/decoders.ts';

const c = common.parse(tinyConfig);

describe('the fields that families share', () => {
  it('have the defaults of Llama', () => {
    const { hidden_act, rms_norm_eps, attention_bias, mlp_bias, tie_word_embeddings } = c;

    assert.deepEqual([hidden_act, rms_norm_eps], ['silu', 1e-6]);
    assert.deepEqual([attention_bias, mlp_bias, tie_word_embeddings], [false, false, false]);
  });

  it('are positive and not absurd', () => {
    assert.ok(!size.safeParse(0).success, 'zero is a size');
    assert.ok(!size.safeParse(2 ** 25).success, '2^25 is a size');
    assert.ok(!common.safeParse({ ...tinyConfig, num_hidden_layers: 4097 }).success, 'too deep');
  });
});

describe('headsOf', () => {
  it('divides the hidden size where no head size is given', () => {
    assert.deepEqual(headsOf(c), { heads: 4, kvHeads: 2, headDim: 8 });
    assert.deepEqual(headsOf({ ...c, head_dim: 20 }), { heads: 4, kvHeads: 2, headDim: 20 });
  });

  it('has as many heads for keys and values as for queries where none are given', () => {
    assert.equal(headsOf({ ...c, num_key_value_heads: null }).kvHeads, 4);
  });

  it('refuses counts that do not divide', () => {
    assert.throws(() => headsOf({ ...c, num_key_value_heads: 3 }), { code: 'CONFIG_INVALID' });
    assert.throws(() => headsOf({ ...c, hidden_size: 33 }), { code: 'CONFIG_INVALID' });
  });
});

describe('headOf', () => {
  const projection = { name: 'lm_head', rows: 40, columns: 32 };

  it('is the projection of a language model', () => {
    const expected = { task: 'LogProbs', projection: { ...projection, isTolerant: true } };
    assert.deepEqual(headOf({}, 'LogProbs', projection), expected);
  });

  const counts = [
    { given: {}, expected: 2 },
    { given: { num_labels: 1 }, expected: 1 },
    { given: { id2label: { 0: 'a' } }, expected: 1 },
    { given: { id2label: { 0: 'a', 1: 7, 2: null } }, expected: 3 },
    { given: { num_labels: null, id2label: null }, expected: 2 },
    { given: { num_labels: 5, id2label: { 0: 'a' } }, expected: 5 },
  ];
  for (const { given, expected } of counts) {
    it(`gives ${expected} scores for ${JSON.stringify(given)}`, () => {
      const head = headOf(given, 'Reward', projection);

      const score = { name: 'score', rows: expected, columns: 32, isExact: true };
      assert.deepEqual(head, { task: 'Reward', score });
    });
  }

  it('refuses labels that are no labels', () => {
    assert.throws(() => headOf({ num_labels: 'two' }, 'Reward', projection), {
      code: 'CONFIG_INVALID',
    });
  });
});

describe('slides', () => {
  it('goes by the list, or by what holds without one', () => {
    const types = layerTypes.parse(['full_attention', 'sliding_attention']);

    assert.deepEqual([slides(types, 0, true), slides(types, 1, false)], [false, true]);
    assert.deepEqual([slides(null, 0, true), slides(undefined, 0, false)], [true, false]);
  });

  it('refuses other kinds of layers, and lists that end too early', () => {
    const types = ['linear_attention'];

    assert.throws(() => slides(types, 0, false), { code: 'UNSUPPORTED_ARCHITECTURE' });
    assert.throws(() => slides(types, 1, false), { code: 'CONFIG_INVALID' });
  });
});

describe('activationOf', () => {
  it('knows the names of config.json', () => {
    assert.equal(activationOf('gelu_new'), 'TanhGELU');
    assert.throws(() => activationOf('mish'), {
      code: 'UNSUPPORTED_ARCHITECTURE',
      message: /silu/,
    });
  });
});

describe('mixtureOf', () => {
  it('refuses tokens that go to more experts than there are', () => {
    const router = { name: 'gate', rows: 1, columns: 32 };
    const parts = { router, experts: [gatedMlp('e', c)], isNormalized: true };

    assert.equal(mixtureOf({ ...parts, perToken: 1 }).kind, 'Experts');
    assert.throws(() => mixtureOf({ ...parts, perToken: 2 }), { code: 'CONFIG_INVALID' });
  });
});

describe('the parts of a decoder', () => {
  it('are named as checkpoints name them', () => {
    const { qkv, output } = separateAttention('p', c);
    assert.ok(qkv.kind === 'Separate', 'q, k and v are not apart');
    const names = [qkv.q, qkv.k, qkv.v, output].map(({ name }) => name);
    assert.deepEqual(
      names,
      ['q', 'k', 'v', 'o'].map((x) => `p.self_attn.${x}_proj`),
    );
    assert.equal(rms('n', c, 8).length, 8);
    assert.deepEqual(
      Object.values(preNorms('p', c)).map(({ name }) => name),
      ['p.input_layernorm', 'p.post_attention_layernorm'],
    );
    const norms = innerAndOuterNorms('p', (name) => rms(name, c));
    assert.equal(norms.beforeMlp?.name, 'p.pre_feedforward_layernorm');
    assert.deepEqual(Object.keys(norms).length, 4);
  });

  it('have a layer for each path', () => {
    const paths: string[] = [];
    const layer = (path: string) => {
      paths.push(path);
      return { attention: separateAttention(path, c), mlp: gatedMlp(path, c) };
    };

    assert.equal(layersOf({ ...c, num_hidden_layers: 2 }, layer).length, 2);
    assert.deepEqual(paths, ['model.layers.0', 'model.layers.1']);
  });

  it('have a head that may be tied to the embedding', () => {
    const head = (tie_word_embeddings: boolean) => {
      const { head } = trunk({ ...c, tie_word_embeddings }, {}, 'LogProbs');
      return head.task === 'LogProbs' && head.projection.tiedTo;
    };

    assert.deepEqual([head(false), head(true)], [undefined, 'model.embed_tokens.weight']);
  });

  it('may be extended by a family', () => {
    const extended = common.extend({ factor: z.number().default(2) });

    assert.equal(extended.parse(tinyConfig).factor, 2);
  });
});
