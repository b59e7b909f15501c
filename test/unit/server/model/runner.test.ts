import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { modulePath } from '../../../../common/module.ts';

const start = () =>
  fork(modulePath(import.meta.url, '../../../../server/model/runner'), {
    serialization: 'advanced',
  });

describe('the runner process', () => {
  it('answers a call under its id', async () => {
    const runner = start();

    runner.send({ id: 7, method: 'load', params: { threads: 1, provider: 'CPU' } });
    const [answer] = (await once(runner, 'message')) as [{ id: number; error: { code: string } }];
    runner.kill('SIGKILL');
    await once(runner, 'exit');

    assert.deepEqual([answer.id, answer.error.code], [7, 'INTERNAL']);
  });

  it('outlives the signals that its front drains on, and ends with its front', async () => {
    const runner = start();
    runner.send({ id: 1, method: 'load', params: { threads: 1, provider: 'CPU' } });
    await once(runner, 'message');

    runner.kill('SIGTERM');
    runner.kill('SIGINT');
    runner.send({ id: 2, method: 'load', params: { threads: 1, provider: 'CPU' } });
    await once(runner, 'message');
    runner.disconnect();
    const [code] = (await once(runner, 'exit')) as [number];

    assert.equal(code, 0);
  });
});
