import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../../common/errors.ts';
import { errorShape, readInferencePath, standingAnswer } from '../../../server/contract.ts';

describe('readInferencePath', () => {
  for (const [path, want] of [
    ['/v2/models/tiny', { name: 'tiny', version: undefined, verb: undefined }],
    ['/v2/models/rl/tiny/infer', { name: 'rl/tiny', version: undefined, verb: 'infer' }],
    ['/v2/models/rl%2Ftiny/ready/', { name: 'rl/tiny', version: undefined, verb: 'ready' }],
    ['/v2/models/tiny/versions/3/infer', { name: 'tiny', version: '3', verb: 'infer' }],
    ['/v2/models/%zz', { name: '%zz', version: undefined, verb: undefined }],
    ['/v2/models/', undefined],
    ['/v2/health/live', undefined],
    ['/v1/models/tiny', undefined],
  ] as const) {
    it(`reads ${path}`, () => assert.deepEqual(readInferencePath(path), want));
  }
});

describe('standingAnswer', () => {
  it('is there with and without a slash at the end, and for no other path', () => {
    assert.equal(standingAnswer('/health/'), standingAnswer('/health'));
    for (const path of ['/', '', '/toString', '/health/x'])
      assert.equal(standingAnswer(path), undefined);
  });
});

describe('errorShape', () => {
  it('is a text for the Open Inference Protocol, with a prefix too, and an object elsewhere', () => {
    const err = new AppError('EMPTY_BATCH', 'why');

    assert.deepEqual(errorShape(err, 'id', '/rl/tiny/v2/models/x/infer'), {
      error: 'why',
      code: 'EMPTY_BATCH',
    });
    assert.deepEqual(errorShape(err, 'id', '/generate'), {
      error: {
        code: 'EMPTY_BATCH',
        message: 'why',
        type: 'invalid_request_error',
        request_id: 'id',
      },
    });
  });
});
