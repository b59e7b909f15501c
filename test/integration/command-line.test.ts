// The commands as a person runs them, against a `refmodel local` with its real server; and as a plugin of kubectl, which
// finds them by their name on the path.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { programPath } from '../support/control-plane.ts';
import { exampleManifest, Local } from '../support/local-command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = resolve(import.meta.dirname, '../..');
const binary = ['--import', 'tsx', join(root, 'refmodel.ts')];

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}
const run = (program: string, args: string[], env = process.env) =>
  new Promise<Ran>((done) => {
    execFile(program, args, { cwd: root, env }, (err, stdout, stderr) => {
      done({ code: typeof err?.code === 'number' ? err.code : err ? 1 : 0, stdout, stderr });
    });
  });
const refmodel = (...args: string[]) => run(process.execPath, [...binary, ...args]);

describe('the command line', { skip: process.platform !== 'linux' && 'reads /proc' }, () => {
  let local: Local;
  const url = () => ['--url', local.url];
  const standing = async (name: string) => {
    const { stdout } = await refmodel('status', name, '--json', ...url());
    return (JSON.parse(stdout) as { models: { standing: string }[] }).models[0]?.standing;
  };

  before(async () => {
    const broken = exampleManifest('broken', 'nowhere', '10m');
    local = await Local.start(`${exampleManifest('tiny', 'tiny-python-llama', '10m')}---${broken}`);
  });
  after(async () => {
    await local.stop();
    local.remove();
  });

  it('wakes a model, telling how far it is, and ends when it is warm', async () => {
    const { code, stderr } = await refmodel('wake', 'tiny', ...url());

    assert.equal(code, 0, stderr);
    assert.match(stderr, /default\/tiny: in memory after/);
    assert.equal(await standing('tiny'), 'Warm');
  });

  it('ends with 1 and the error of a model that cannot be woken, which status then shows', async () => {
    const woken = await refmodel('wake', 'broken', ...url());
    const status = await refmodel('status', '--exit-code', ...url());

    assert.equal(woken.code, 1);
    assert.match(woken.stderr, /MODEL_FILES_MISSING/);
    assert.equal(status.code, 3);
    assert.match(status.stdout, /default\/broken +Failed/);
    assert.match(status.stdout, /remedy: /);
  });

  it('takes and releases a lease', async () => {
    const taken = await refmodel('lease', 'take', 'run-1', 'tiny', '--ttl', '60', ...url());
    const released = await refmodel('lease', 'release', 'run-1', ...url());

    assert.equal(taken.code, 0, taken.stderr);
    assert.deepEqual(JSON.parse(released.stdout), { removed: ['run-1'] });
  });

  it('checks manifests, and ends with 1 when a model does not fit', async () => {
    const manifest = 'examples/tiny-python-llama.yaml';
    const volume = ['--volume', 'models=examples/models', '--provider', 'CPU'];

    const other = { ...process.env, REFMODEL_LOG_LEVEL: 'info' }; // of other commands
    const small = ['check', manifest, ...volume, '--memory', '1Gi'];
    const fits = await run(process.execPath, [...binary, ...small], other);
    const large = await refmodel('check', manifest, ...volume, '--memory', '1Mi');

    assert.deepEqual([fits.code, large.code], [0, 1], fits.stderr + large.stdout);
    assert.match(large.stdout, /too large/);
  });

  it('ends with 2 when it is given wrong', async () => {
    const codes = await Promise.all([refmodel('fly'), refmodel('status', '--fast')]);

    assert.deepEqual(
      codes.map(({ code }) => code),
      [2, 2],
    );
  });

  const hasKubectl = spawnSync(programPath('kubectl'), ['version', '--client']).status === 0;
  it('is a plugin of kubectl', { skip: !hasKubectl && 'no kubectl' }, async () => {
    using folder = temporaryFolder();
    const script = `#!/bin/sh\nexec "${process.execPath}" ${binary.join(' ')} "$@"\n`;
    writeFileSync(join(folder.path, 'kubectl-refmodel'), script, { mode: 0o755 });
    const env = { ...process.env, PATH: `${folder.path}:${process.env['PATH']}` };

    const { code, stdout, stderr } = await run(
      programPath('kubectl'),
      ['refmodel', 'status', 'default/tiny', ...url()],
      env,
    );

    assert.equal(code, 0, stderr);
    assert.match(stdout, /default\/tiny +Warm/);
  });
});
