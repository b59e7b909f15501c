import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { moduleWorker } from '../../../../../common/module.ts';

describe('the body thread', () => {
  it('answers each message by its id', async () => {
    const base = new URL('../../../../../server/api/wire/threads.ts', import.meta.url).href;
    const worker = moduleWorker(base, './body-thread');
    try {
      const bytes = Buffer.from('[1]');
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
      worker.postMessage({ id: 7, task: { kind: 'Parse', bytes } });

      const [answer] = await once(worker, 'message');

      assert.deepEqual(answer, { id: 7, value: [1] });
    } finally {
      await worker.terminate();
    }
  });
});
