import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { firstVisible, nvidiaSmi } from '../../../../../server/model/cuda/driver.ts';
import { fakeNvidiaSmi, h100, type SmiState } from '../../../../support/nvidia-smi.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

const MiB = 2 ** 20;

async function asking<T>(state: SmiState, use: (of: ReturnType<typeof nvidiaSmi>) => Promise<T>) {
  using folder = temporaryFolder();
  const { command } = fakeNvidiaSmi(folder.path, state);
  return await use(nvidiaSmi({ id: '0', command }));
}

describe('nvidiaSmi', () => {
  it('tells what GPU there is and how much of its memory is used', async () => {
    const gpu = await asking({ gpus: [h100] }, (driver) => driver.gpu());

    assert.deepEqual(gpu, {
      name: 'NVIDIA H100 80GB HBM3',
      computeCapability: 9,
      driverVersion: '580.95.05',
      totalBytes: 81_559 * MiB,
      usedBytes: 4 * MiB,
    });
  });

  it('tells what each process holds, as far as the driver knows', async () => {
    const processes = [
      { pid: 7, used_memory: 900 },
      { pid: 8, used_memory: '[N/A]' },
    ];

    const held = await asking({ gpus: [h100], processes }, (driver) => driver.processes());
    const none = await asking({ gpus: [h100] }, (driver) => driver.processes());

    assert.deepEqual([...held], [[7, 900 * MiB]]);
    assert.equal(none.size, 0);
  });

  const unusable: { name: string; state: SmiState; says: RegExp }[] = [
    {
      name: 'a GPU without bfloat16',
      state: { gpus: [{ ...h100, name: 'Tesla T4', compute_cap: '7.5' }] },
      says: /Tesla T4 has compute capability 7\.5, 8\.0 or more/,
    },
    { name: 'a machine whose GPU is not there', state: { gpus: [] }, says: /No devices/ },
    {
      name: 'a driver that does not answer',
      state: { broken: "NVIDIA-SMI has failed because it couldn't communicate with the driver." },
      says: /couldn't communicate/,
    },
    {
      name: 'a GPU that does not tell its memory',
      state: { gpus: [{ ...h100, 'memory.used': '[Insufficient Permissions]' }] },
      says: /\[Insufficient Permissions\]/,
    },
  ];
  for (const { name, state, says } of unusable) {
    it(`refuses ${name}, in words for who can change it`, async () => {
      await assert.rejects(
        asking(state, (driver) => driver.gpu()),
        { code: 'PROVIDER_UNAVAILABLE', message: says },
      );
    });
  }

  it('takes every card from compute capability 8.0 on', async () => {
    for (const capability of ['8.0', '8.6', '8.9', '10.0', '12.0']) {
      const gpus = [{ ...h100, compute_cap: capability }];
      const gpu = await asking({ gpus }, (driver) => driver.gpu());

      assert.equal(gpu.computeCapability, Number(capability));
    }
  });

  it('says what a pod needs when there is no nvidia-smi', async () => {
    const driver = nvidiaSmi({ id: '0', command: '/nowhere/nvidia-smi' });

    await assert.rejects(driver.gpu(), { code: 'PROVIDER_UNAVAILABLE', message: /GPUClass/ });
  });
});

describe('firstVisible', () => {
  it('is what the runtime counts as its first', () => {
    assert.equal(firstVisible(undefined), '0');
    assert.equal(firstVisible(''), '0');
    assert.equal(firstVisible('2,3'), '2');
    assert.equal(firstVisible(' GPU-1 , GPU-2'), 'GPU-1');
  });
});
