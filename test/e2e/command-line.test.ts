// The commands as a person types them, against a running system: through the proxy of the API server, with the
// NetworkPolicies of the chart. Needs what story.test.ts needs, and `make build`.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { apply, get, kubectl, namespace, referenceModel } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const models = [
  referenceModel('asked'),
  referenceModel('broken', {
    model: { persistentVolumeClaim: { claimName: 'models', path: 'nowhere' } },
  }),
  referenceModel('kept', { access: 'Authenticated' }),
];

/** May read the objects of models, and nothing else. */
const viewer = [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'viewer', namespace } },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'views-models' },
    rules: [
      {
        apiGroups: ['refmodel.dev'],
        resources: ['referencemodels', 'gpuclasses'],
        verbs: ['get', 'list'],
      },
    ],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'views-models' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'views-models' },
    subjects: [{ kind: 'ServiceAccount', name: 'viewer', namespace }],
  },
];

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

interface Status {
  gateway: string;
  models: { name: string; standing: string; memory?: { host: number } }[];
  pods: { pod: string }[];
  runs: { run: string }[];
}

describe('the command line on a cluster', () => {
  const folder = temporaryFolder();
  const run = (program: string, args: string[], env: NodeJS.ProcessEnv = {}) =>
    new Promise<Ran>((done) => {
      const path = `${folder.path}:${process.env['PATH']}`;
      const options = { env: { ...process.env, PATH: path, ...env }, timeout: 170_000 };
      execFile(program, args, options, (err, stdout, stderr) => {
        done({ code: typeof err?.code === 'number' ? err.code : err ? 1 : 0, stdout, stderr });
      });
    });
  const plugin = (...args: string[]) => run('kubectl', ['refmodel', ...args]);

  async function status(...args: string[]): Promise<Status> {
    const { code, stdout, stderr } = await plugin('status', '--json', ...args);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as Status;
  }
  const standing = async (name: string) =>
    (await status('-n', namespace, name)).models[0]?.standing;

  before(async () => {
    const script = `#!/bin/sh\nexec "${process.execPath}" "${resolve('dist/refmodel.js')}" "$@"\n`;
    writeFileSync(join(folder.path, 'kubectl-refmodel'), script, { mode: 0o755 });
    await apply(...models, ...viewer);
  });
  after(async () => {
    await kubectl(['delete', 'rfm', '--all', '-n', namespace, '--wait']);
    await kubectl(['delete', 'clusterrole/views-models', 'clusterrolebinding/views-models']);
    await kubectl(['delete', 'serviceaccount/viewer', '-n', namespace]);
    await eventually(async () => {
      assert.deepEqual(await get('pods', namespace, 'refmodel.dev/pool'), [], 'pods are left');
    }, 120_000);
    folder[Symbol.dispose]();
  });

  it('shows a model that sleeps, as the console of a gateway does', async () => {
    await eventually(async () => {
      assert.equal(await standing('asked'), 'Asleep', 'it is not known yet');
    });
    assert.match((await status()).gateway, /^refmodel-gateway-/);
  });

  it('wakes it, telling how far that is, and shows where it is then', async () => {
    const woken = await plugin('wake', 'asked', '-n', namespace);
    const [pod] = await get('pods', namespace, 'refmodel.dev/pool');
    const shown = await status(`${namespace}/asked`);

    assert.equal(woken.code, 0, woken.stderr);
    assert.match(woken.stderr, new RegExp(`${namespace}/asked: in memory after`));
    assert.equal(shown.models[0]?.standing, 'Warm');
    assert.ok((shown.models[0]?.memory?.host ?? 0) > 0, 'its memory is known');
    assert.deepEqual(
      shown.pods.map(({ pod: name }) => name),
      [pod?.metadata.name],
    );
  });

  it('tells why a model cannot be woken, and what to do', async () => {
    const woken = await plugin('wake', 'broken', '-n', namespace);
    const shown = await plugin('status', '--exit-code', `${namespace}/broken`);

    assert.equal(woken.code, 1);
    assert.match(woken.stderr, /MODEL_FILES_MISSING/);
    assert.equal(shown.code, 3, shown.stderr);
    assert.match(shown.stdout, /Failed[^]*remedy: /);
  });

  it('takes, lists and releases a lease', async () => {
    const taken = await plugin('lease', 'take', 'run-1', 'asked', '-n', namespace, '--ttl', '60');
    const listed = await plugin('lease', 'list');
    const shown = await status();
    const released = await plugin('lease', 'release', 'run-1');

    assert.equal(taken.code, 0, taken.stderr);
    assert.match(listed.stdout, /"run-1"/);
    assert.deepEqual(
      shown.runs.map(({ run: name }) => name),
      ['run-1'],
    );
    assert.deepEqual(JSON.parse(released.stdout), { removed: ['run-1'] });
  });

  it('checks what the cluster has', async () => {
    const file = join(folder.path, 'objects.yaml');
    writeFileSync(file, await kubectl(['get', 'rfm,gpuclass', '-n', namespace, '-o', 'yaml']));

    const fits = await plugin('check', file, '--parameters', '1B');
    const large = await plugin('check', file, '--parameters', '70B');

    assert.equal(fits.code, 0, fits.stdout + fits.stderr);
    assert.match(fits.stdout, new RegExp(`${namespace}/asked: fits`));
    assert.equal(large.code, 1);
    assert.match(large.stdout, new RegExp(`${namespace}/asked: too large`));
  });

  it('shows the objects to whoever may not use the proxy', async () => {
    const token = (await kubectl(['create', 'token', 'viewer', '-n', namespace])).trim();
    const config = JSON.parse(
      await kubectl(['config', 'view', '--raw', '--flatten', '--minify', '-o', 'json']),
    ) as { users: { user: object }[] };
    for (const entry of config.users) entry.user = { token };
    const file = join(folder.path, 'viewer.kubeconfig');
    writeFileSync(file, JSON.stringify(config));

    const shown = await run('kubectl', ['refmodel', 'status'], { KUBECONFIG: file });
    const woken = await run('kubectl', ['refmodel', 'wake', `${namespace}/asked`], {
      KUBECONFIG: file,
    });

    assert.match(shown.stdout, new RegExp(`${namespace}/asked +Warm`), shown.stderr);
    assert.equal(woken.code, 1);
    assert.match(woken.stderr, /KUBERNETES_API: .*forbidden/);
  });

  it('wakes a model that wants a token by an address of a gateway only', async () => {
    const service = ['get', 'service', 'refmodel-gateway', '-n', 'refmodel-system'];
    const address = await kubectl([...service, '-o', 'jsonpath={.spec.clusterIP}']);
    const token = join(folder.path, 'token');
    const ask = ['create', 'token', 'viewer', '-n', namespace, '--audience', 'refmodel'];
    writeFileSync(token, await kubectl(ask));
    const byAddress = ['--url', `http://${address}`, '--token-file', token];
    const wake = (...args: string[]) => plugin('wake', `${namespace}/kept`, ...args);

    const byProxy = await wake();
    const withoutRight = await wake(...byAddress);
    await kubectl(
      ['create', 'rolebinding', 'viewer-manages', '-n', namespace].concat(
        '--clusterrole=refmodel-manager',
        `--serviceaccount=${namespace}:viewer`,
      ),
    );
    const allowed = await eventually(async () => {
      const ran = await wake(...byAddress);
      assert.equal(ran.code, 0, ran.stderr);
      return ran;
    });
    await kubectl(['delete', 'rolebinding/viewer-manages', '-n', namespace]);

    assert.match(byProxy.stderr, /UNAUTHENTICATED: .*--token-file/);
    assert.match(withoutRight.stderr, /FORBIDDEN/);
    assert.match(allowed.stderr, /in memory after/);
  });
});
