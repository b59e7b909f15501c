// The whole job on a real cluster, as a user sees it. Needs KUBECONFIG, a release of the chart in namespace
// refmodel-system, and the claim "models" with examples/models and test/golden in namespace $REFMODEL_E2E_NAMESPACE:
// scripts/e2e.sh makes all of that.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import {
  apply,
  Follower,
  get,
  getOne,
  type KubeObject,
  kubectl,
  namespace,
} from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';

const system = 'refmodel-system';
const idleSeconds = 15;

interface Golden {
  rows: { input_ids: number[]; log_probs: number[] }[];
}
const golden = (folder: string): Golden =>
  JSON.parse(readFileSync(`${folder}/golden.json`, 'utf8')) as Golden;

const models = {
  tiny: { path: 'tiny-python-llama', golden: golden('examples/models/tiny-python-llama') },
  plain: { path: 'llama', golden: golden('test/golden/llama') },
  yarn: { path: 'llama-yarn', golden: golden('test/golden/llama-yarn') },
};
type Name = keyof typeof models;

const referenceModel = (name: Name) => ({
  apiVersion: 'refmodel.dev/v1alpha1',
  kind: 'ReferenceModel',
  metadata: { name, namespace },
  spec: {
    model: { persistentVolumeClaim: { claimName: 'models', path: models[name].path } },
    quantization: 'None',
    scaling: { idleTimeout: `${idleSeconds}s` },
  },
});

/** curl in the client pod; the status is the last line of what it prints. */
async function curl(url: string, body?: object): Promise<{ status: number; json: unknown }> {
  const data = body ? ['-H', 'content-type: application/json', '--data-binary', '@-'] : [];
  const out = await kubectl(
    ['exec', '-i', '-n', namespace, 'client', '--']
      .concat(['curl', '-sS', '--max-time', '150', '-w', '\n%{http_code}'])
      .concat(data, url),
    body && JSON.stringify(body),
  );
  const cut = out.lastIndexOf('\n');
  const text = out.slice(0, cut);
  return { status: Number(out.slice(cut + 1)), json: text === '' ? undefined : JSON.parse(text) };
}

const url = (name: string, path: string) => `http://${name}.${namespace}.svc${path}`;

interface Scores {
  logprobs: (number | null)[][];
}

/** Asks for every golden row of a model by its own DNS name; the answer must be the float64 truth. */
async function askGolden(name: Name): Promise<void> {
  const { rows } = models[name].golden;
  const input_ids = rows.map((row) => row.input_ids);
  const { status, json } = await curl(url(name, '/v1/logprobs'), { input_ids });
  assert.equal(status, 200, JSON.stringify(json));
  const { logprobs } = json as Scores;
  rows.forEach((row, i) => {
    const [first, ...rest] = logprobs[i] ?? [];
    assert.equal(first, null);
    assert.equal(rest.length, row.log_probs.length);
    const delta = Math.max(...rest.map((v, j) => Math.abs((v ?? Number.NaN) - row.log_probs[j]!)));
    assert.ok(delta <= 5e-5, `${name} row ${i}: max |Δ| ${delta}`);
  });
}

interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
}

async function condition(name: string, type: string): Promise<Condition> {
  const { status } = await getOne('rfm', namespace, name);
  const found = (status?.['conditions'] as Condition[] | undefined)?.find((c) => c.type === type);
  assert.ok(found, `${name} has no condition ${type}`);
  return found;
}

const expectCondition = (name: string, type: string, status: string, reason?: string) =>
  eventually(async () => {
    const found = await condition(name, type);
    assert.equal(found.status, status, `${type} of ${name}: ${found.reason}: ${found.message}`);
    if (reason) assert.equal(found.reason, reason);
  });

const poolPods = () => get('pods', namespace, 'refmodel.dev/pool');
const expectNoPods = (timeoutMs: number) =>
  eventually(async () => assert.equal((await poolPods()).length, 0), timeoutMs);

const replicasOf = (deployment: KubeObject) => deployment.spec['replicas'] as number;
const isReady = (pod: KubeObject) =>
  ((pod.status?.['conditions'] as Condition[] | undefined) ?? []).some(
    (c) => c.type === 'Ready' && c.status === 'True',
  );

/** The columns that `kubectl get rfm` prints for a model, by header. */
async function columns(name: string): Promise<Record<string, string>> {
  const [header = '', row = ''] = (
    await kubectl(['get', 'rfm', name, '-n', namespace, '-o', 'wide'])
  ).split('\n');
  const starts = [...header.matchAll(/\S+( \S+)*/g)].map((match) => match.index);
  const cells = (line: string) => starts.map((at, i) => line.slice(at, starts[i + 1]).trim());
  const values = cells(row);
  return Object.fromEntries(cells(header).map((title, i) => [title, values[i] ?? '']));
}

const times: { what: string; ms: number }[] = [];

describe('the whole job on a cluster', () => {
  let deployments: Follower;
  let pods: Follower;
  let lastAnswer = 0;

  before(() => {
    deployments = new Follower('deployments', namespace);
    pods = new Follower('pods', namespace);
  });

  after(() => {
    deployments[Symbol.dispose]();
    pods[Symbol.dispose]();
    for (const { what, ms } of times)
      console.log(`${String(Math.round(ms)).padStart(8)} ms  ${what}`);
  });

  /** One cold request, its phases seen from outside through watches, recorded in `times`. */
  async function coldRequest(name: Name): Promise<void> {
    const start = Date.now();
    await askGolden(name);
    lastAnswer = Date.now();
    const scaled = deployments.find(start, ({ object }) => replicasOf(object) > 0);
    const ready = pods.find(
      start,
      ({ object }) => Boolean(object.metadata.labels?.['refmodel.dev/pool']) && isReady(object),
    );
    assert.ok(scaled && ready, 'the watches saw the scale and the ready pod');
    times.push(
      { what: 'request → scale written (kubectl exec included)', ms: scaled.at - start },
      { what: 'scale written → pod ready', ms: ready.at - scaled.at },
      { what: 'pod ready → first answer', ms: lastAnswer - ready.at },
    );
  }

  it('accepts a model and calls it available while no pod runs', async () => {
    await apply(referenceModel('tiny'));

    await expectCondition('tiny', 'Accepted', 'True');
    await expectCondition('tiny', 'Available', 'True');
    await expectCondition('tiny', 'Loaded', 'False');
    assert.deepEqual(await poolPods(), []);
  });

  it('holds a request by DNS name, starts a pod and answers with the golden values', async () => {
    await coldRequest('tiny');

    assert.equal((await poolPods()).length, 1);
  });

  it('fills status and columns once loaded', async () => {
    await expectCondition('tiny', 'Loaded', 'True');
    await eventually(async () => {
      const shown = await columns('tiny');
      assert.match(shown['MODEL'] ?? '', /tiny-python-llama/);
      assert.equal(shown['QUANTIZATION'], 'None');
      assert.equal(shown['CLASS'], 'cpu');
      assert.equal(shown['AVAILABLE'], 'True');
      assert.equal(shown['LOADED'], 'Resident');
      assert.equal(shown['REPLICAS'], '1');
      assert.notEqual(shown['LAST REQUEST'], '');
      assert.equal(shown['URL'], url('tiny', ''));
      assert.notEqual(shown['REVISION'], '');
      assert.notEqual(shown['MEMORY'], '');
    });
  });

  it('puts a second model of the pool into the same pod, and evicts the least recently used for a third', async () => {
    await apply(referenceModel('plain'), referenceModel('yarn'));
    await expectCondition('plain', 'Accepted', 'True');
    await expectCondition('yarn', 'Accepted', 'True');
    const [pod] = await poolPods();

    await askGolden('plain');
    await expectCondition('plain', 'Loaded', 'True');
    await askGolden('yarn');

    const { json } = await curl(url('yarn', '/cache'));
    const cache = json as { num_models: number; max_models: number; models: { name: string }[] };
    assert.equal(cache.num_models, 2);
    assert.equal(cache.max_models, 2);
    assert.deepEqual(
      cache.models.map((m) => m.name),
      [`${namespace}/yarn`, `${namespace}/plain`],
    );
    await expectCondition('yarn', 'Loaded', 'True');
    await expectCondition('plain', 'Loaded', 'True');
    await expectCondition('tiny', 'Loaded', 'False', 'Evicted');
    assert.deepEqual(
      (await poolPods()).map((p) => p.metadata.uid),
      [pod?.metadata.uid],
    );
    lastAnswer = Date.now();
  });

  it('answers bad input with a clear error and goes on serving', async () => {
    const table: { path?: string; body: object; status: number; code: string }[] = [
      { body: { input_ids: [[1, 9_999_999]] }, status: 400, code: 'TOKEN_OUT_OF_RANGE' },
      { body: { input_ids: [] }, status: 400, code: 'EMPTY_BATCH' },
      { body: { input_ids: [Array(9000).fill(1)] }, status: 400, code: 'SEQUENCE_TOO_LONG' },
      { body: { input_ids: 'x' }, status: 400, code: 'INVALID_REQUEST' },
    ];
    for (const { body, status, code } of table) {
      const answer = await curl(url('yarn', '/v1/logprobs'), body);
      assert.equal(answer.status, status, code);
      assert.equal((answer.json as { error: { code: string } }).error.code, code);
    }
    const gateway = `http://refmodel-gateway.${system}.svc`;
    const unknown = await curl(`${gateway}/v1/logprobs`, { model: 'none', input_ids: [[1]] });
    assert.equal(unknown.status, 404);

    await askGolden('yarn');
    lastAnswer = Date.now();
  });

  it('removes the pod after the idle time and says why', async () => {
    await expectNoPods((idleSeconds + 30) * 1000);
    const gone = pods.find(lastAnswer, (c) => c.type === 'DELETED');
    assert.ok(gone, 'the watch saw the pod go');
    assert.ok(gone.at - lastAnswer >= idleSeconds * 1000 - 1000, 'not before the idle time');
    times.push({ what: `idle (${idleSeconds} s) → pod gone`, ms: gone.at - lastAnswer });

    for (const name of ['tiny', 'plain', 'yarn']) {
      await expectCondition(name, 'Loaded', 'False', 'ScaledToZero');
      await expectCondition(name, 'Available', 'True');
    }
    assert.equal((await columns('tiny'))['LOADED'], 'ScaledToZero');
  });

  it('wakes once for 20 concurrent requests and answers them all', async () => {
    const start = Date.now();
    const { rows } = models.tiny.golden;

    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        curl(url('tiny', '/v1/logprobs'), { input_ids: [rows[i % rows.length]!.input_ids] }),
      ),
    );

    assert.deepEqual(
      answers.map((a) => a.status),
      Array<number>(20).fill(200),
    );
    const wakes = deployments.changes.filter(
      ({ at, object }, i, all) =>
        at >= start && replicasOf(object) > 0 && replicasOf(all[i - 1]?.object ?? object) === 0,
    );
    assert.equal(wakes.length, 1);
    assert.equal((await poolPods()).length, 1);
  });

  it('loses nothing when the operator is killed during a wake', async () => {
    await expectNoPods((idleSeconds + 30) * 1000);

    const answer = coldRequest('plain');
    await eventually(async () => {
      const [deployment] = await get('deployments', namespace, 'refmodel.dev/pool');
      assert.ok(deployment && replicasOf(deployment) > 0, 'the pool is awake');
    });
    await kubectl(
      ['delete', 'pod', '-n', system, '-l', 'app.kubernetes.io/component=operator'].concat([
        '--grace-period=0',
        '--force',
        '--wait=false',
      ]),
    );

    await answer;
    await kubectl(['rollout', 'status', '-n', system, 'deployment/refmodel-operator']);
    await expectCondition('plain', 'Loaded', 'True');
  });

  it('leaves no object behind when the models are deleted', async () => {
    await kubectl(['delete', 'rfm', '--all', '-n', namespace, '--wait=true', '--timeout=30s']);

    const kinds =
      'deployments,replicasets,pods,services,serviceaccounts,configmaps,networkpolicies,endpointslices';
    await eventually(async () => {
      const left = await get(kinds, namespace, 'app.kubernetes.io/managed-by=refmodel');
      assert.deepEqual(
        left.map((o) => `${o.kind}/${o.metadata.name}`),
        [],
      );
      const owned = await get(kinds, namespace, 'refmodel.dev/pool');
      assert.deepEqual(
        owned.map((o) => `${o.kind}/${o.metadata.name}`),
        [],
      );
    });
  });
});
