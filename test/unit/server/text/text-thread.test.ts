import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { moduleWorker } from '../../../../common/module.ts';
import type { VolumePath } from '../../../../server/model/checkpoint/inside.ts';

const base = new URL('../../../../server/text/texts.ts', import.meta.url).href;
const folder: VolumePath = { root: 'examples/models', path: 'tiny-python-llama' };

describe('the thread that knows texts', () => {
  it('answers each call under its id, failures with their code', async () => {
    const thread = moduleWorker(base, './text-thread');
    const ask = async (call: object) => {
      thread.postMessage({ folder, ...call }, []);
      return (await once(thread, 'message'))[0] as unknown;
    };

    const tokens = await ask({ id: 7, method: 'tokens', params: { ids: [1] } });
    const chat = await ask({ id: 8, method: 'chat', params: { conversations: [{}] } });
    await thread.terminate();

    assert.deepEqual(tokens, { id: 7, result: ['<bos>'] });
    const { id, error } = chat as { id: number; error: { code: string } };
    assert.deepEqual([id, error.code], [8, 'CHAT_TEMPLATE_FAILED']);
  });
});
