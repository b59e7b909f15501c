import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { until } from '../support/server-kit.ts';
import {
  checkpoint,
  childrenOf,
  end,
  isAlive,
  startServerProcess,
} from '../support/server-process.ts';

const models = [checkpoint('rl/llama', 'test/golden/llama')];

async function score(url: string): Promise<number> {
  const res = await fetch(`${url}/v1/logprobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ input_ids: [[1, 2, 3]] }),
  });
  await res.arrayBuffer();
  return res.status;
}

describe('the server process', () => {
  it('loads a cold model once for twenty requests at the same time, and answers all', async () => {
    await using server = await startServerProcess(models);

    const statuses = await Promise.all(Array.from({ length: 20 }, () => score(server.url)));

    assert.deepEqual(statuses, Array(20).fill(200));
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /refmodel_server_load_seconds_count\{code="OK"\} 1\n/);
  });

  it('serves on between SIGTERM and the end of its delay, then ends with code 0 and without a runner', async () => {
    await using server = await startServerProcess(models, { REFMODEL_DRAIN_DELAY_MS: '3000' });
    assert.equal(await score(server.url), 200);
    const runners = childrenOf(server.child.pid ?? 0);
    assert.ok(runners.length > 0);

    const ended = end(server.child, 'SIGTERM');
    await until(async () => (await fetch(`${server.url}/readyz`)).status === 503);
    const status = await score(server.url);

    assert.equal(status, 200);
    assert.equal(await ended, 0);
    assert.deepEqual(runners.filter(isAlive), []);
  });

  it('answers again after its runner was killed', async () => {
    await using server = await startServerProcess(models);
    assert.equal(await score(server.url), 200);
    const runners = childrenOf(server.child.pid ?? 0);

    for (const pid of runners) process.kill(pid, 'SIGKILL');

    assert.equal(await score(server.url), 200);
    assert.deepEqual(runners.filter(isAlive), []);
  });

  it('leaves no runner behind when it is killed itself', async () => {
    await using server = await startServerProcess(models);
    assert.equal(await score(server.url), 200);
    const runners = childrenOf(server.child.pid ?? 0);

    await end(server.child, 'SIGKILL');

    await until(() => !runners.some(isAlive));
  });

  it('ends by itself, and its runner too, when the process that started it is killed', async () => {
    const parent = fork('test/support/server-parent.ts', {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const [{ pid, url }] = (await once(parent, 'message')) as [{ pid: number; url: string }];
    assert.equal(await score(url), 200);
    const runners = childrenOf(pid);
    assert.ok(runners.length > 0);

    await end(parent, 'SIGKILL');

    await until(() => ![pid, ...runners].some(isAlive));
  });
});
