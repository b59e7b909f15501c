import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { badRecord } from '../../../../server/offline/record.ts';

describe('badRecord', () => {
  it('counts lines from 1, as editors do', () => {
    const { code, message } = badRecord(0, 'no');

    assert.equal(code, 'INVALID_REQUEST');
    assert.match(message, /line 1: no/);
  });
});
