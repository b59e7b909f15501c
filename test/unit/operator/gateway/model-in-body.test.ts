import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../../common/errors.ts';
import { modelInBody } from '../../../../operator/gateway/model-in-body.ts';
import { int32Tensor, oipBody, safetensorsBody } from '../../../support/binary-bodies.ts';

const tensors = [int32Tensor('input_ids', [1, 2], [1, 2])];
const json = (text: string) => modelInBody(Buffer.from(text), {});
const safetensors = { 'content-type': 'Application/X-Safetensors; v=1' };

describe('modelInBody', () => {
  for (const text of ['', '{}', '[]', 'null', '{"model":7}', '{"x":{"model":"rl/tiny"}}']) {
    it(`finds no model in ${text || 'an empty body'}`, () => {
      assert.equal(json(text), undefined);
    });
  }

  it('reads escapes as JSON does', () => {
    assert.equal(json('{"model":"rl\\u002ftiny"}'), 'rl/tiny');
  });

  it('finds it in the metadata of safetensors', () => {
    const body = safetensorsBody(tensors, { model: 'rl/tiny' });

    assert.equal(modelInBody(body, safetensors), 'rl/tiny');
    assert.equal(modelInBody(safetensorsBody(tensors), safetensors), undefined);
  });

  it('finds it in the parameters of the Open Inference Protocol', () => {
    const named = oipBody(tensors, { model: 'rl/tiny' });
    const { body, headers } = oipBody(tensors);

    assert.equal(modelInBody(named.body, named.headers), 'rl/tiny');
    assert.equal(modelInBody(body, headers), undefined);
  });

  it('refuses a body that is not what its headers say', () => {
    const { body } = oipBody(tensors);

    assert.throws(() => json('{'), { code: 'MALFORMED_JSON' });
    assert.throws(() => modelInBody(Buffer.from('{}'), safetensors), { code: 'MALFORMED_BODY' });
    for (const length of ['0', '-1', 'x', '7', String(body.length + 1)]) {
      assert.throws(() => modelInBody(body, { 'inference-header-content-length': length }), {
        code: 'MALFORMED_BODY',
      });
    }
  });

  it('says so of any bytes at all', () => {
    const headers = fc.constantFrom({}, safetensors, { 'inference-header-content-length': '9' });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), headers, (bytes, of) => {
        try {
          const found = modelInBody(Buffer.from(bytes), of);
          assert.ok(found === undefined || typeof found === 'string');
        } catch (err) {
          assert.ok(err instanceof AppError && err.status === 400);
        }
      }),
    );
  });
});
