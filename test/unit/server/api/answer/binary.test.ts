import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { oipAnswer, safetensorsAnswer } from '../../../../../server/api/answer/binary.ts';
import { readOip, readSafetensors } from '../../../../support/binary-bodies.ts';

const answer = {
  offsets: Int32Array.of(0, 1, 3),
  positions: [
    { name: 'logprobs', kind: 'LogProb' as const, values: Float32Array.of(NaN, -1, -Infinity) },
    { name: 'topk_ids', kind: 'Id' as const, values: Int32Array.of(1, 2, 3, 4, 5, 6), width: 2 },
  ],
  rows: [{ name: 'sums', kind: 'Number' as const, values: Float64Array.of(1, 2) }],
  rest: { model: 'rl/m', revision: 'r', request_id: 'a', usage: { tokens: 3 } },
};
const tensors = {
  offsets: { shape: [3], values: [0, 1, 3] },
  logprobs: { shape: [3], values: [NaN, -1, -Infinity] },
  topk_ids: { shape: [3, 2], values: [1, 2, 3, 4, 5, 6] },
  sums: { shape: [2], values: [1, 2] },
};

describe('an answer in binary', () => {
  it('is a safetensors file, with the rest as metadata', () => {
    const { parts, contentType } = safetensorsAnswer(answer);

    const read = readSafetensors(Buffer.concat(parts));

    assert.equal(contentType, 'application/x-safetensors');
    assert.deepEqual(read.tensors, tensors);
    assert.deepEqual(read.metadata, {
      model: 'rl/m',
      revision: 'r',
      request_id: 'a',
      usage: '{"tokens":3}',
    });
  });

  it('is an inference response, with the rest as parameters', () => {
    const { parts, headers } = oipAnswer(answer);

    const length = Number(headers['inference-header-content-length']);
    const { header, tensors: found } = readOip(Buffer.concat(parts), length);

    assert.deepEqual(found, tensors);
    const { model_name, model_version, id, parameters } = header;
    assert.deepEqual([model_name, model_version, id], ['rl/m', 'r', 'a']);
    assert.deepEqual(parameters, { usage: { tokens: 3 } });
  });

  it('has no offsets where there are no positions', () => {
    const { parts } = safetensorsAnswer({ ...answer, positions: [] });

    assert.deepEqual(Object.keys(readSafetensors(Buffer.concat(parts)).tensors), ['sums']);
  });
});
