import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { callerOf } from '../../../../operator/gateway/caller.ts';

const from = (remoteAddress: string | undefined, headers: Record<string, string> = {}) =>
  callerOf({ headers, socket: { remoteAddress } as Socket });

describe('callerOf', () => {
  it('takes the name that the client gives its run', () => {
    assert.equal(from('10.0.0.7', { 'x-refmodel-run': 'grpo-3' }), 'grpo-3');
    assert.equal(from('127.0.0.1', { 'x-refmodel-run': 'grpo-3' }), 'grpo-3');
  });

  it('takes the address of a client that gives none', () => {
    assert.equal(from('10.0.0.7'), '10.0.0.7');
    assert.equal(from('fd00::7', { 'x-refmodel-run': '' }), 'fd00::7');
  });

  for (const address of ['127.0.0.1', '::ffff:127.0.0.1', '::1', undefined]) {
    it(`knows nobody by ${address}`, () => {
      assert.equal(from(address), undefined);
    });
  }
});
