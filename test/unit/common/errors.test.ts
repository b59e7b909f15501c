import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError, errorBody, errorKinds, toAppError } from '../../../common/errors.ts';

describe('error table', () => {
  it('answers everything that may succeed later with 503, and nothing else', () => {
    for (const [code, kind] of Object.entries(errorKinds)) {
      assert.equal(kind.isRetryable, kind.status === 503, code);
    }
  });

  it('uses no status that ends a trainer: neither 429 nor 504', () => {
    const statuses: number[] = Object.values(errorKinds).map((kind) => kind.status);

    assert.equal(statuses.includes(429), false);
    assert.equal(statuses.includes(504), false);
  });
});

describe('AppError', () => {
  it('takes its status from its code', () => {
    assert.equal(new AppError('QUEUE_FULL', 'x').status, 503);
    assert.equal(new AppError('BODY_TOO_LARGE', 'x').status, 413);
  });

  it('keeps one of ours as it is, and wraps anything else as INTERNAL with its cause', () => {
    const ours = new AppError('EMPTY_BATCH', 'x');
    const foreign = new TypeError('boom');

    assert.equal(toAppError(ours), ours);
    assert.equal(toAppError(foreign).code, 'INTERNAL');
    assert.equal(toAppError(foreign).cause, foreign);
    assert.equal(toAppError('text').message, 'text');
  });

  it('never shows the message of an internal error to a caller', () => {
    const body = errorBody(toAppError(new Error('secret path /etc/x')), 'id-1');

    assert.deepEqual(body.error, {
      code: 'INTERNAL',
      message: 'internal error',
      type: 'server_error',
      request_id: 'id-1',
    });
  });
});
