import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AppError } from '../../../../../common/errors.ts';
import {
  connectionLost,
  notTheHub,
  refusal,
  storageFailed,
} from '../../../../../server/model/hub/refusal.ts';

const now = Date.UTC(2026, 0, 1);
const refuse = (status: number, headers: Record<string, string> = {}): AppError =>
  refusal('config.json of a/b', { status, headers }, now);
const reason = (code: string) => ({ 'x-error-code': code });

describe('refusal', () => {
  const table: { status: number; reason?: string; code: string; says: RegExp }[] = [
    { status: 401, code: 'HUB_UNAUTHORIZED', says: /renew/ },
    { status: 401, reason: 'GatedRepo', code: 'HUB_UNAUTHORIZED', says: /accept its terms/ },
    { status: 401, reason: 'RepoNotFound', code: 'HUB_REPO_NOT_FOUND', says: /tokenSecretRef/ },
    { status: 403, reason: 'GatedRepo', code: 'HUB_FORBIDDEN', says: /accept the terms/ },
    { status: 403, code: 'HUB_FORBIDDEN', says: /access/ },
    { status: 404, reason: 'RepoNotFound', code: 'HUB_REPO_NOT_FOUND', says: /check/ },
    { status: 404, code: 'HUB_REPO_NOT_FOUND', says: /check/ },
    { status: 404, reason: 'RevisionNotFound', code: 'HUB_REVISION_NOT_FOUND', says: /correct/ },
    { status: 404, reason: 'EntryNotFound', code: 'MODEL_FILES_MISSING', says: /any more/ },
    { status: 408, code: 'HUB_UNREACHABLE', says: /check HF_ENDPOINT/ },
    { status: 503, code: 'HUB_UNREACHABLE', says: /503/ },
    { status: 451, code: 'HUB_ANSWER_INVALID', says: /451/ },
  ];
  for (const { status, reason: why, code, says } of table) {
    it(`makes ${code} of ${status} ${why ?? ''}`, () => {
      const err = refuse(status, why === undefined ? {} : reason(why));

      assert.equal(err.code, code);
      assert.match(err.message, says);
    });
  }

  const waits: { name: string; headers: Record<string, string>; want: number }[] = [
    { name: 'seconds', headers: { 'retry-after': '7' }, want: 7 },
    { name: 'a date', headers: { 'retry-after': new Date(now + 90_000).toUTCString() }, want: 90 },
    { name: 'a date of the past', headers: { 'retry-after': new Date(0).toUTCString() }, want: 0 },
    { name: 'the reset of a window', headers: { ratelimit: '"api";r=0;t=55' }, want: 55 },
    { name: 'nothing', headers: {}, want: 1 },
    { name: 'nonsense', headers: { 'retry-after': 'soon' }, want: 1 },
  ];
  for (const { name, headers, want } of waits) {
    it(`tells how long to wait from ${name}`, () => {
      const err = refuse(429, headers);

      assert.equal(err.code, 'HUB_RATE_LIMITED');
      assert.equal(err.retryAfterSeconds, want);
    });
  }
});

describe('what may pass', () => {
  it('is an answer of the storage, whatever it is', () => {
    assert.equal(storageFailed('x', 403).code, 'HUB_UNREACHABLE');
  });

  it('is a lost connection, told by its code when it has no message', () => {
    const err = connectionLost('x', Object.assign(new Error(''), { code: 'ECONNREFUSED' }));

    assert.equal(err.isRetryable, true);
    assert.match(err.message, /ECONNREFUSED/);
  });

  it('is not an answer that the hub would not give', () => {
    assert.equal(notTheHub('x', 'y').isRetryable, false);
  });
});
