import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { parseModelConfig, unsupported } from '../../../../../server/onnx/arch/blueprint.ts';

describe('parseModelConfig', () => {
  it('gives the parsed fields', () => {
    const schema = z.object({ size: z.int().default(3) });

    assert.deepEqual(parseModelConfig(schema, {}), { size: 3 });
  });

  it('refuses wrong fields and what is not an object', () => {
    const schema = z.object({ size: z.int() });

    assert.throws(() => parseModelConfig(schema, { size: 'x' }), { code: 'CONFIG_INVALID' });
    assert.throws(() => parseModelConfig(schema, null), { code: 'CONFIG_INVALID' });
  });
});

describe('unsupported', () => {
  it('lists what is supported', () => {
    const err = unsupported('architecture "X"', ['A', 'B']);

    assert.equal(err.code, 'UNSUPPORTED_ARCHITECTURE');
    assert.match(err.message, /A, B/);
  });
});
