// A server of a CUDA class where there is no GPU that it can use: it lives, and says what is missing.
import assert from 'node:assert/strict';
import { delimiter } from 'node:path';
import { describe, it } from 'node:test';
import { serverState } from '../../server/contract.ts';
import { fakeNvidiaSmi, h100 } from '../support/nvidia-smi.ts';
import { checkpoint, startServerProcess } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const models = [checkpoint('rl/llama', 'test/golden/llama')];

async function ask(env: Record<string, string>) {
  await using server = await startServerProcess(models, {
    REFMODEL_EXECUTION_PROVIDER: 'CUDA',
    ...env,
  });
  const answer = await fetch(`${server.url}/v1/logprobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'rl/llama', input_ids: [[1, 2, 3]] }),
  });
  const { error } = (await answer.json()) as { error: { code: string; message: string } };
  const ready = await fetch(`${server.url}/readyz`);
  const state = serverState.parse(await (await fetch(`${server.url}/state`)).json());
  return { status: answer.status, error, isReady: ready.ok, state };
}

describe('a server of a CUDA class', () => {
  it('says what a pod needs where there is no driver', async () => {
    const { status, error, isReady, state } = await ask({ PATH: '/nowhere' });

    assert.deepEqual([status, error.code, isReady], [500, 'PROVIDER_UNAVAILABLE', true]);
    assert.match(error.message, /nvidia-smi/);
    assert.equal(state.models[0]?.error?.code, 'PROVIDER_UNAVAILABLE');
  });

  it('names the card that is too old', async () => {
    using folder = temporaryFolder();
    fakeNvidiaSmi(folder.path, { gpus: [{ ...h100, name: 'Tesla T4', compute_cap: '7.5' }] });

    const { error } = await ask({ PATH: [folder.path, process.env['PATH']].join(delimiter) });

    assert.match(error.message, /Tesla T4.*7\.5/);
  });

  it('refuses a model that can never fit with the numbers of the GPU, or names the missing library', async () => {
    using folder = temporaryFolder();
    fakeNvidiaSmi(folder.path, { gpus: [{ ...h100, 'memory.total': 1000 }] });

    const { error } = await ask({ PATH: [folder.path, process.env['PATH']].join(delimiter) });

    if (error.code === 'PROVIDER_UNAVAILABLE') assert.match(error.message, /lib\w+\.so/);
    else assert.match(error.message, /device memory, the limit is 0\.477 GiB/);
  });
});
