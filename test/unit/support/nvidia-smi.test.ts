import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fakeNvidiaSmi, h100, type SmiState } from '../../support/nvidia-smi.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const format = '--format=csv,noheader,nounits';

function ask(state: SmiState, ...args: string[]) {
  using folder = temporaryFolder();
  const { command } = fakeNvidiaSmi(folder.path, state);
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return { status, stdout };
}

describe('the nvidia-smi of tests', () => {
  const second = { ...h100, index: 1, uuid: 'GPU-2', name: 'NVIDIA A100' };

  it('prints the fields that are asked of the GPUs that are asked', () => {
    const query = '--query-gpu=memory.total,name';
    const gpus = [h100, second];

    assert.equal(ask({ gpus }, query, format, '--id=GPU-2').stdout, '81559, NVIDIA A100\n');
    assert.equal(ask({ gpus }, query, format).stdout.split('\n').length, 3);
  });

  it('prints nothing when no process computes', () => {
    const query = '--query-compute-apps=pid,used_memory';
    const processes = [{ pid: 7, used_memory: 90 }];

    assert.equal(ask({ gpus: [h100] }, query, format).stdout, '');
    assert.equal(ask({ gpus: [h100], processes }, query, format, '--id=0').stdout, '7, 90\n');
  });

  it('fails with words on its output', () => {
    const unknown = ask({ gpus: [h100] }, '--query-gpu=nothing', format);
    const none = ask({ gpus: [] }, '--query-gpu=name', format);
    const broken = ask({ broken: 'NVIDIA-SMI has failed' }, '--query-gpu=name', format);

    assert.deepEqual([unknown.status, none.status, broken.status], [2, 6, 9]);
    assert.match(broken.stdout, /has failed/);
  });
});
