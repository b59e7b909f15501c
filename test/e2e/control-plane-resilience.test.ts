// What a real API server answers when it does not want to: 410 for what it has forgotten, 429 while it is busy.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../common/clock.ts';
import { silentLogger } from '../../common/log.ts';
import { isGone } from '../../operator/kube/errors.ts';
import { Informer } from '../../operator/kube/informer.ts';
import { resources } from '../../operator/kube/resources.ts';
import { modelManifest } from '../support/builders.ts';
import {
  type ControlPlane,
  newName,
  noControlPlane,
  startControlPlane,
  startOperator,
} from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { reason, soon, stage } from '../support/stage.ts';

describe('a real API server that refuses', { skip: noControlPlane }, () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane();
  });
  after(() => plane[Symbol.asyncDispose]());

  const apply = (...items: object[]) =>
    plane.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));

  it('says 410 to a watch from a version that it has forgotten', async () => {
    const options = { resourceVersion: '1', timeoutSeconds: 5 };

    // Right after its kind was made it is still busy with that.
    await eventually(() => {
      const watch = plane.client.watch(resources.referenceModels, options, soon());
      return assert.rejects(watch.next(), isGone, 'no 410');
    });
  });

  it('is listed again after a 410, and nothing is missed', async () => {
    const namespace = newName('gone');
    await plane.kubectl(['create', 'namespace', namespace]);
    const client = plane.clientOf();
    const watch = client.watch.bind(client);
    let watches = 0;
    client.watch = ((resource, options, signal) =>
      watches++ === 0
        ? watch(resource, { ...options, resourceVersion: '1' }, signal)
        : watch(resource, options, signal)) as typeof client.watch;
    const informer = new Informer({
      client,
      clock: systemClock,
      log: silentLogger,
      resource: resources.referenceModels,
      namespaces: [namespace],
    });
    const stop = new AbortController();
    const ended = informer.run(stop.signal).catch(() => {}); // its end is the signal

    await eventually(() => assert.ok(watches > 1, 'not followed any more'));
    const { metadata: _, ...late } = modelManifest();
    await apply({ ...late, metadata: { name: 'late', namespace } });
    await eventually(() => assert.ok(informer.get(`${namespace}/late`), 'missed'));

    stop.abort();
    await ended;
    client.close();
  });

  it('says 429 to an operator, which asks again, not too often, and gets there', async () => {
    const test = await stage(plane);
    const user = newName('throttled');
    await apply(...mayDoAll(user), ...throttling(user));
    await test.apply(test.ofClass(), ...['a', 'b', 'c', 'd'].map((name) => test.model(name)));
    const codes: number[] = [];
    const client = plane.clientOf(user, ({ status }) => codes.push(status));
    const refused = () => codes.filter((code) => code === 429).length;
    const look = () => client.list(resources.gpuClasses, {}, soon()).catch(() => {}); // counted
    await eventually(async () => {
      await Promise.all(Array.from({ length: 8 }, look));
      assert.ok(refused() > 0, 'nothing is refused yet');
    });

    codes.length = 0;
    await using operator = startOperator(plane, test.namespace, client);
    for (const name of ['a', 'b', 'c', 'd']) {
      await reason(() => test.get(name), 'Available', 'OnDemand', 90_000);
    }

    const written = Object.values(await operator.writes()).reduce((sum, count) => sum + count, 0);
    assert.ok(refused() > 0, 'it was not throttled');
    assert.ok(codes.length < 20 * written, `${codes.length} calls for ${written} writes`);
  });
});

const mayDoAll = (user: string): object[] => [
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: user },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
  },
];

/** One call of the user at a time (Kubernetes: "API Priority and Fairness"). */
const throttling = (name: string): object[] => [
  {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'PriorityLevelConfiguration',
    metadata: { name },
    spec: {
      type: 'Limited',
      limited: {
        nominalConcurrencyShares: 0,
        lendablePercent: 0,
        borrowingLimitPercent: 0,
        limitResponse: { type: 'Reject' },
      },
    },
  },
  {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'FlowSchema',
    metadata: { name },
    spec: {
      priorityLevelConfiguration: { name },
      matchingPrecedence: 100,
      rules: [
        {
          subjects: [{ kind: 'User', user: { name } }],
          resourceRules: [
            {
              verbs: ['*'],
              apiGroups: ['*'],
              resources: ['*'],
              clusterScope: true,
              namespaces: ['*'],
            },
          ],
        },
      ],
    },
  },
];
