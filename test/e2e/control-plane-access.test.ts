// What a real API server says to the rights that the chart gives, to its admission policy, and to tokens of callers.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../common/clock.ts';
import { silentLogger } from '../../common/log.ts';
import { World } from '../../operator/controller/world.ts';
import { KubernetesReviews, wishOf } from '../../operator/gateway/access/reviews.ts';
import { type Right, scoring } from '../../operator/gateway/access/rights.ts';
import { KubernetesBackend } from '../../operator/gateway/backend/kubernetes.ts';
import { fromKubeConfig } from '../../operator/kube/api-server.ts';
import { KubeClient } from '../../operator/kube/client.ts';
import { rightsOfChart } from '../../scripts/rights.ts';
import {
  type ControlPlane,
  newName,
  noControlPlane,
  programPath,
  startControlPlane,
} from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';

const system = 'refmodel-access';
const soon = () => AbortSignal.timeout(10_000);

interface Rule {
  apiGroups?: string[];
  resources?: string[];
  verbs: string[];
}

/** "verb group/resource" of each right, without those that every account has. */
function words(rules: readonly Rule[]): string[] {
  const all = rules.flatMap(({ apiGroups = [], resources = [], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
    ),
  );
  return [
    ...new Set(all.filter((word) => !/ (authorization|authentication).*\/self/.test(word))),
  ].sort();
}

describe('rights on a real API server', { skip: noControlPlane }, () => {
  let plane: ControlPlane;
  const apply = (...items: object[]) =>
    plane.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  const install = async (...sets: string[]) => {
    const args = ['template', 'refmodel', 'charts/refmodel', '--namespace', system]
      .concat(['--set', 'crds.enabled=false'])
      .concat(sets.flatMap((value) => ['--set', value]));
    const { stdout } = await promisify(execFile)(programPath('helm'), args, {
      maxBuffer: 16 << 20,
    });
    await plane.kubectl(['apply', '-f', '-'], stdout);
  };

  before(async () => {
    plane = await startControlPlane();
    for (const name of [system, 'models', 'elsewhere'])
      await plane.kubectl(['create', 'namespace', name]);
    await install();
  });
  after(() => plane[Symbol.asyncDispose]());

  const as = (account: string) => ['--as', `system:serviceaccount:${system}:refmodel-${account}`];

  async function rightsOf(account: string, namespace: string): Promise<string[]> {
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectRulesReview',
      spec: { namespace },
    };
    const create = ['create', '--validate=false', ...as(account), '-o', 'json', '-f', '-'];
    const answer = JSON.parse(await plane.kubectl(create, JSON.stringify(review))) as {
      status: { resourceRules: Rule[]; incomplete: boolean };
    };
    assert.equal(answer.status.incomplete, false);
    return words(answer.status.resourceRules);
  }

  const documented = (account: string, ...scopes: string[]) =>
    words(
      rightsOfChart()
        .filter((one) => one.account === account && scopes.includes(one.scope))
        .flatMap(({ rules }) => rules),
    );

  for (const account of ['operator', 'gateway']) {
    it(`gives the ${account} what is documented, and nothing more`, async () => {
      const inOwn = documented(account, 'cluster', 'models', 'own');

      assert.deepEqual(await rightsOf(account, system), inOwn);
      assert.deepEqual(await rightsOf(account, 'models'), documented(account, 'cluster', 'models'));
      assert.ok(inOwn.every((word) => !/secrets|\*/.test(word)));
    });
  }

  it('gives those of watch.namespaces in these only', async () => {
    await plane.kubectl(['delete', 'clusterrolebinding,clusterrole', '-l', 'helm.sh/chart']);
    await install('watch.namespaces={models}');

    for (const account of ['operator', 'gateway']) {
      const inModels = documented(account, 'cluster', 'models');
      assert.deepEqual(await rightsOf(account, 'models'), inModels);
      assert.deepEqual(await rightsOf(account, 'elsewhere'), documented(account, 'cluster'));
    }
  });

  async function clientOf(account: string): Promise<KubeClient> {
    const token = await plane.kubectl(['create', 'token', `refmodel-${account}`, '-n', system]);
    const config = new KubeConfig();
    config.loadFromFile(plane.kubeconfig);
    const cluster = config.getCurrentCluster();
    assert.ok(cluster, 'a kubeconfig names its cluster');
    config.loadFromClusterAndUser(cluster, { name: account, token: token.trim() });
    const options = {
      server: fromKubeConfig(config),
      clock: systemClock,
      timeoutMs: 10_000,
      userAgent: 'test',
    };
    return new KubeClient(options);
  }

  it('lets operator and gateways follow all that they must with these rights', async () => {
    const common = { clock: systemClock, log: silentLogger, namespaces: ['models'] };
    const stop = new AbortController();
    const [ofOperator, ofGateway] = [await clientOf('operator'), await clientOf('gateway')];
    const gateways = { namespace: system, service: 'refmodel-gateway-admin' };
    const world = new World({ ...common, client: ofOperator, gateways });
    const backend = new KubernetesBackend({ ...common, client: ofGateway, leaseNamespace: system });
    const running = [world.run(stop.signal), backend.run(stop.signal)].map((run) =>
      run.catch(() => {}),
    );

    await eventually(() => {
      assert.ok(world.isSynced, 'the operator');
      assert.ok(backend.isSynced(), 'the gateway');
    }, 30_000);

    stop.abort(new Error('end of test'));
    await Promise.all(running);
    ofOperator.close();
    ofGateway.close();
  });

  it('knows the tokens of callers, and what they may', async () => {
    await apply(
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'a', namespace: 'models' } },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'a', namespace: 'models' },
        roleRef: {
          apiGroup: 'rbac.authorization.k8s.io',
          kind: 'ClusterRole',
          name: 'refmodel-scorer',
        },
        subjects: [{ kind: 'ServiceAccount', name: 'a', namespace: 'models' }],
      },
    );
    const token = async (...args: string[]) =>
      (await plane.kubectl(['create', 'token', 'a', '-n', 'models', ...args])).trim();
    const client = await clientOf('gateway');
    const reviews = new KubernetesReviews(client);
    const ours = await token('--audience', 'refmodel');
    const caller = await reviews.whose(ours, soon());
    assert.ok(caller, 'the API server knows its own token');
    const may = (right: Right, model: string) => reviews.may(caller, wishOf(right, model), soon());

    assert.equal(caller.username, 'system:serviceaccount:models:a');
    assert.equal(await reviews.whose(await token(), soon()), undefined);
    assert.equal(await reviews.whose(await token('--audience', 'other'), soon()), undefined);
    assert.equal(await reviews.whose(`${ours.slice(0, -4)}AAAA`, soon()), undefined);
    await eventually(async () => assert.ok(await may(scoring, 'models/tiny'), 'not bound yet'));
    assert.equal(await may(scoring, 'elsewhere/tiny'), false);
    assert.equal(await may({ subresource: 'cache', verb: 'delete' }, 'models/tiny'), false);
    await plane.kubectl(['delete', 'serviceaccount', 'a', '-n', 'models']);
    await eventually(
      async () => assert.equal(await reviews.whose(ours, soon()), undefined),
      30_000,
    );
    client.close();
  });

  describe('the admission policy', () => {
    const pool = newName('rfm-pool');
    const deployment = (name: string, replicas: number) => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: 'models' },
      spec: {
        replicas,
        selector: { matchLabels: { 'refmodel.dev/pool': name } },
        template: {
          metadata: { labels: { 'refmodel.dev/pool': name } },
          spec: { containers: [{ name: 'c', image: 'x:1' }] },
        },
      },
    });
    const refused = async (name: string, from: number, to: number) => {
      await apply(deployment(name, from));
      await assert.rejects(rescale(name, to), /may raise a pool from zero to one/);
    };
    /** As a gateway does it: `kubectl scale` would read the Deployment, which it may not. */
    const rescale = (name: string, replicas: number) =>
      plane.kubectl(
        ['replace', '--raw', `/apis/apps/v1/namespaces/models/deployments/${name}/scale`].concat(
          ['-f', '-'],
          as('gateway'),
        ),
        JSON.stringify({
          apiVersion: 'autoscaling/v1',
          kind: 'Scale',
          metadata: { name, namespace: 'models' },
          spec: { replicas },
        }),
      );
    const lease = (name: string, verb: 'create' | 'delete') => {
      const object = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name } };
      return plane.kubectl(
        [verb, '-n', system, '-f', '-', ...as('gateway')].concat(
          verb === 'create' ? ['--validate=false'] : [],
        ),
        JSON.stringify(object),
      );
    };

    it('confines the gateway to pools, and to raising zero to one', async () => {
      // The API server takes a moment to heed a new policy.
      await eventually(() => refused('other', 0, 1), 30_000);
      await refused(pool, 0, 2);
      await refused(pool, 1, 0);
      await refused(pool, 1, 2);
      await apply(deployment(pool, 0));

      await rescale(pool, 1);
    });

    it('confines it to leases of runs', async () => {
      await assert.rejects(lease('refmodel-operator', 'create'), /leases of runs/);
      await plane.kubectl(
        ['create', '-n', system, '-f', '-'],
        JSON.stringify({
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { name: 'refmodel-operator' },
        }),
      );

      await assert.rejects(lease('refmodel-operator', 'delete'), /leases of runs/);
      await lease('refmodel-run-a', 'create');
      await lease('refmodel-run-a', 'delete');
    });

    it('has rights to nothing else beside: no Deployment, no Secret, no pod, no status', async () => {
      for (const [verb, what] of [
        ['get', 'secrets'],
        ['create', 'pods'],
        ['patch', 'deployments'],
        ['patch', 'referencemodels.refmodel.dev/status'],
        ['create', 'networkpolicies.networking.k8s.io'],
      ]) {
        const answer = plane.kubectl([
          'auth',
          'can-i',
          `${verb}`,
          `${what}`,
          '-n',
          'models',
          ...as('gateway'),
        ]);
        await assert.rejects(answer, `${verb} ${what}`);
      }
    });
  });
});
