// Who reaches whom, and who may score what, on a real cluster. Needs what story.test.ts needs; connections are tried where
// an agent enforces NetworkPolicies, with the peers that scripts/e2e.sh gives the chart.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { apply, get, kubectl, namespace, referenceModel } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';

const system = 'refmodel-system';
const image = process.env['REFMODEL_E2E_IMAGE'] ?? 'refmodel.local/refmodel:e2e';
const notEnforced =
  process.env['REFMODEL_E2E_NETWORK_POLICIES'] === 'enforced'
    ? false
    : 'nothing says that this cluster enforces NetworkPolicies';

const guarded = referenceModel('guarded', { access: 'Authenticated' });
const account = (name: string) => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name, namespace },
});
const mayScore = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name: 'trainer-scores', namespace },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'refmodel-scorer' },
  subjects: [{ kind: 'ServiceAccount', name: 'trainer', namespace }],
};

/** A pod that answers on port 8080. */
const listener = (app: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: app, namespace, labels: { app } },
  spec: {
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'listener',
        image,
        command: ['/usr/local/bin/node', '-e'],
        args: ['require("http").createServer((_, res) => res.end("ok")).listen(8080)'],
        imagePullPolicy: 'IfNotPresent',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
  },
});

interface Place {
  pod: string;
  namespace: string;
  ip: string;
}

async function placeOf(inNamespace: string, selector: string): Promise<Place> {
  const [found] = (await get('pods', inNamespace, selector)).filter(
    ({ metadata, status }) => !metadata.deletionTimestamp && status?.['phase'] === 'Running',
  );
  assert.ok(found, `no pod of ${selector}`);
  return { pod: found.metadata.name, namespace: inNamespace, ip: String(found.status?.['podIP']) };
}

const program = `
  const [host, port] = process.argv.slice(1);
  const socket = require('net').connect(Number(port), host);
  const end = (said) => { console.log(said); process.exit(); };
  socket.on('connect', () => end('open'));
  socket.on('error', () => end('closed'));
  setTimeout(() => end('closed'), 3000);`;

/** Whether a connection from that pod opens. */
async function opens(from: Place, host: string, port: number): Promise<boolean> {
  const run = ['exec', '-n', from.namespace, from.pod, '--', '/usr/local/bin/node', '-e', program];
  return (await kubectl([...run, host, String(port)])).trim() === 'open';
}

/** The status that a caller in the cluster gets. */
async function score(headers: string[]): Promise<number> {
  const out = await kubectl(
    ['exec', '-n', namespace, 'client', '--', 'curl', '-sS', '--max-time', '150'].concat(
      ['-o', '/dev/null', '-w', '%{http_code}', '-H', 'content-type: application/json'],
      headers.flatMap((header) => ['-H', header]),
      ['-d', '{"input_ids":[[1,2,3]]}', `http://guarded.${namespace}.svc/v1/logprobs`],
    ),
  );
  return Number(out);
}

const tokenOf = async (name: string, audience: string) =>
  (await kubectl(['create', 'token', name, '-n', namespace, '--audience', audience])).trim();
const bearer = async (name: string, audience = 'refmodel') => [
  `authorization: Bearer ${await tokenOf(name, audience)}`,
];

describe('security on a real cluster', () => {
  const pods = ['pod/hub', 'pod/other', 'pod/prometheus'];
  before(async () => {
    await apply(guarded, account('trainer'), account('stranger'), mayScore);
    await apply(listener('hub'), listener('other'), listener('prometheus'));
    await kubectl(['wait', '--for=condition=Ready', '-n', namespace, ...pods]);
  });
  after(async () => {
    await kubectl(['delete', 'rfm/guarded', 'rolebinding/trainer-scores', '-n', namespace]);
    const accounts = ['serviceaccount/trainer', 'serviceaccount/stranger'];
    await kubectl(['delete', ...pods, ...accounts, '-n', namespace]);
    await eventually(async () => {
      assert.deepEqual(await get('pods', namespace, 'refmodel.dev/pool'), []);
    }, 120_000);
  });

  it('answers callers with the right only, whose token the API server knows', async () => {
    await eventually(async () => assert.equal(await score([]), 401), 30_000);
    assert.equal(await score(['authorization: Bearer EMPTY']), 401);
    assert.equal(await score(await bearer('trainer', 'another-audience')), 401);
    assert.equal(await score(await bearer('stranger')), 403);
    await eventually(async () => assert.equal(await score(await bearer('trainer')), 200), 150_000);
  });

  describe('connections', { skip: notEnforced }, () => {
    let model: Place;
    let gateway: Place;
    let operator: Place;
    let hub: Place;
    let other: Place;
    let prometheus: Place;
    before(async () => {
      model = await placeOf(namespace, 'refmodel.dev/pool');
      gateway = await placeOf(system, 'app.kubernetes.io/component=gateway');
      operator = await placeOf(system, 'app.kubernetes.io/component=operator');
      hub = await placeOf(namespace, 'app=hub');
      other = await placeOf(namespace, 'app=other');
      prometheus = await placeOf(namespace, 'app=prometheus');
    });

    const tries: { what: string; from: () => Place; to: () => [string, number]; want: boolean }[] =
      [
        {
          what: 'a pod without policies to another',
          from: () => other,
          to: () => [hub.ip, 8080],
          want: true,
        },
        {
          what: 'a gateway to a model pod',
          from: () => gateway,
          to: () => [model.ip, 8080],
          want: true,
        },
        {
          what: 'another pod to a model pod',
          from: () => other,
          to: () => [model.ip, 8080],
          want: false,
        },
        {
          what: 'the operator to a model pod',
          from: () => operator,
          to: () => [model.ip, 8080],
          want: false,
        },
        { what: 'a model pod to the hub', from: () => model, to: () => [hub.ip, 8080], want: true },
        { what: 'a model pod to DNS', from: () => model, to: () => ['10.96.0.10', 53], want: true },
        {
          what: 'a model pod to another pod',
          from: () => model,
          to: () => [other.ip, 8080],
          want: false,
        },
        {
          what: 'a model pod to the API server',
          from: () => model,
          to: () => ['10.96.0.1', 443],
          want: false,
        },
        {
          what: 'a model pod to a gateway',
          from: () => model,
          to: () => [gateway.ip, 8080],
          want: false,
        },
        {
          what: 'another pod to a gateway',
          from: () => other,
          to: () => [gateway.ip, 8080],
          want: true,
        },
        {
          what: 'another pod to the reports of a gateway',
          from: () => other,
          to: () => [gateway.ip, 8081],
          want: false,
        },
        {
          what: 'the operator to the reports of a gateway',
          from: () => operator,
          to: () => [gateway.ip, 8081],
          want: true,
        },
        {
          what: 'the operator to the API server',
          from: () => operator,
          to: () => ['10.96.0.1', 443],
          want: true,
        },
        {
          what: 'a gateway to the API server',
          from: () => gateway,
          to: () => ['10.96.0.1', 443],
          want: true,
        },
        {
          what: 'the operator to another pod',
          from: () => operator,
          to: () => [other.ip, 8080],
          want: false,
        },
        {
          what: 'a gateway to another pod',
          from: () => gateway,
          to: () => [other.ip, 8080],
          want: false,
        },
        {
          what: 'another pod to the operator',
          from: () => other,
          to: () => [operator.ip, 8081],
          want: false,
        },
        {
          what: 'who may read metrics to a gateway',
          from: () => prometheus,
          to: () => [gateway.ip, 8081],
          want: true,
        },
        {
          what: 'who may read metrics to the operator',
          from: () => prometheus,
          to: () => [operator.ip, 8081],
          want: true,
        },
        {
          what: 'who may read metrics to a model pod',
          from: () => prometheus,
          to: () => [model.ip, 8080],
          want: true,
        },
      ];
    for (const { what, from, to, want } of tries) {
      it(`from ${what} ${want ? 'open' : 'do not open'}`, async () => {
        assert.equal(await opens(from(), ...to()), want);
      });
    }
  });
});
