import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readVolumes } from '../../../../operator/gateway/volumes.ts';

describe('folders that stand for claims', () => {
  it('are found by the name of the claim', async () => {
    assert.deepEqual(await readVolumes(['tmp=/tmp']), new Map([['tmp', '/tmp']]));
  });

  for (const text of ['tmp', '=/tmp', 'tmp=', 'tmp=/nowhere/at/all', 'tmp=/etc/hostname']) {
    it(`refuses "${text}"`, async () => {
      await assert.rejects(readVolumes([text]), { code: 'CONFIGURATION_INVALID' });
    });
  }
});
