import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { moduleWorker } from '../../../../../common/module.ts';
import { perform, type Task } from '../../../../../server/model/convert/rounding.ts';
import { noise } from '../../../../support/run-graph.ts';

describe('the thread that rounds', () => {
  it('answers each task under its id', async () => {
    const weights = { rows: 1, columns: 32, values: noise(32, 1) };
    const task: Task = { kind: 'Quantize', format: 'Int8', weights };
    const thread = moduleWorker(
      new URL('../../../../../server/model/convert/quantizer.ts', import.meta.url).href,
      './rounding-thread',
    );

    thread.postMessage({ id: 7, task }, []);
    const [answer] = await once(thread, 'message');
    await thread.terminate();

    assert.deepEqual(answer, { id: 7, rounded: perform(task) });
  });
});
