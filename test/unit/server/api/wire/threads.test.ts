import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BodyThreads } from '../../../../../server/api/wire/threads.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

describe('BodyThreads', () => {
  it('parse and print apart from this thread, several at a time', async () => {
    const threads = new BodyThreads(2);
    try {
      const bodies = Array.from({ length: 6 }, (_, i) => ({ i, ids: Array(20).fill(i) }));

      const parsed = await Promise.all(
        bodies.map((body) => threads.parse(bytesOf(JSON.stringify(body)))),
      );
      const printed = await threads.print({ kind: 'Id', values: Int32Array.of(1, -1) });

      assert.deepEqual(
        parsed,
        bodies.map(({ i, ids }) => ({ i, ids: Int32Array.from(ids) })),
      );
      assert.equal(Buffer.from(printed).toString(), '1,null');
    } finally {
      await threads.close();
    }
  });

  it('tell what is not JSON, and go on', async () => {
    const threads = new BodyThreads(1);
    try {
      await assert.rejects(threads.parse(bytesOf('{"a":')), {
        code: 'MALFORMED_JSON',
      });

      assert.deepEqual(await threads.parse(bytesOf('{}')), {});
    } finally {
      await threads.close();
    }
  });

  it('fail those who wait when they are closed, and start anew for the next', async () => {
    const threads = new BodyThreads(1);
    const waiting = assert.rejects(threads.parse(bytesOf('{}')), {
      code: 'INTERNAL',
    });

    await threads.close();

    await waiting;
    assert.deepEqual(await threads.parse(bytesOf('[]')), []);
    await threads.close();
  });
});
