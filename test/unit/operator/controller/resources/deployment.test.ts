import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../../../../common/config.ts';
import { poolDeployment } from '../../../../../operator/controller/resources/deployment.ts';
import { serverConfig } from '../../../../../server/config.ts';
import { gpuClass, referenceModel } from '../../../../support/builders.ts';

const settings = { image: 'refmodel:1', imagePullPolicy: 'IfNotPresent' as const };
const onClaim = (name: string, claimName: string) =>
  referenceModel({
    metadata: { name, uid: `uid-${name}` },
    spec: { model: { persistentVolumeClaim: { claimName, path: 'x' } } },
  });

function build(spec: object = {}, models = [referenceModel()]) {
  const plan = { namespace: 'rl', pool: 'rfm-pool-cpu', models, gpuClass: gpuClass({ spec }) };
  const deployment = poolDeployment(plan, settings);
  const pod = deployment.spec?.template.spec;
  const [server] = pod?.containers ?? [];
  assert.ok(pod && server);
  return { deployment, pod, server };
}

describe('poolDeployment', () => {
  it('passes the restricted Pod Security Standard', () => {
    const { pod, server } = build();

    assert.deepEqual(pod.securityContext, {
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    assert.deepEqual(server.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  it('gives a pod neither a token nor the addresses of Services', () => {
    const { pod } = build();

    assert.equal(pod.automountServiceAccountToken, false);
    assert.equal(pod.enableServiceLinks, false);
  });

  it('never says how many replicas', () => {
    assert.equal('replicas' in (build().deployment.spec ?? {}), false);
  });

  it('gives the server settings that it takes', () => {
    const { server } = build({ memory: '2Gi', maxModels: 5, rollout: { drainTimeout: '90s' } });
    const env = Object.fromEntries((server.env ?? []).map(({ name, value }) => [name, value]));

    const config = parseConfig(serverConfig, env);

    assert.equal(config.REFMODEL_MEMORY_BYTES, 2 * 2 ** 30);
    assert.equal(config.REFMODEL_MAX_MODELS, 5);
    assert.equal(config.REFMODEL_CLOSE_TIMEOUT_MS, 90_000);
    assert.equal(config.REFMODEL_CATALOG, '/etc/refmodel/catalog.json');
    assert.deepEqual(server.args, ['server']);
  });

  it('lets a pod live long enough to drain and end', () => {
    const { pod } = build({ rollout: { drainTimeout: '90s' } });

    assert.ok((pod.terminationGracePeriodSeconds ?? 0) > 92);
  });

  it('mounts each claim of its models once, read-only', () => {
    const { pod, server } = build({}, [onClaim('a', 'x'), onClaim('b', 'y'), onClaim('c', 'x')]);

    const claims = pod.volumes?.flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim ?? []);
    const mounts = server.volumeMounts?.filter(({ mountPath }) =>
      mountPath.startsWith('/volumes/'),
    );
    assert.deepEqual(claims, [
      { claimName: 'x', readOnly: true },
      { claimName: 'y', readOnly: true },
    ]);
    assert.deepEqual(mounts, [
      { name: 'claim-0', mountPath: '/volumes/x', readOnly: true },
      { name: 'claim-1', mountPath: '/volumes/y', readOnly: true },
    ]);
  });

  it('puts a pod where and as the class says', () => {
    const placement = {
      nodeSelector: { gpu: 'a100' },
      tolerations: [{ key: 'gpu', operator: 'Exists' }],
      affinity: { nodeAffinity: {} },
      runtimeClassName: 'nvidia',
      priorityClassName: 'high',
    };
    const resources = { limits: { 'nvidia.com/gpu': '1' } };

    const { pod, server } = build({ ...placement, resources, image: 'mine:2' });

    const { nodeSelector, tolerations, affinity, runtimeClassName, priorityClassName } = pod;
    const placed = { nodeSelector, tolerations, affinity, runtimeClassName, priorityClassName };
    assert.deepEqual(placed, placement);
    assert.deepEqual(server.resources, resources);
    assert.equal(server.image, 'mine:2');
    assert.equal(build().server.image, 'refmodel:1');
  });

  const volumes = [
    { name: 'an emptyDir by default', given: undefined, want: { emptyDir: {} } },
    {
      name: 'an emptyDir with its limit',
      given: { emptyDir: { sizeLimit: '9Gi' } },
      want: { emptyDir: { sizeLimit: '9Gi' } },
    },
    {
      name: 'a folder of the node',
      given: { hostPath: { path: '/cache' } },
      want: { hostPath: { path: '/cache', type: 'DirectoryOrCreate' } },
    },
    {
      name: 'a claim',
      given: { persistentVolumeClaim: { claimName: 'c' } },
      want: { persistentVolumeClaim: { claimName: 'c' } },
    },
  ];
  for (const { name, given, want } of volumes) {
    it(`keeps converted models on ${name}`, () => {
      const { pod } = build({ ...(given && { cache: given }) });

      assert.deepEqual(
        pod.volumes?.find((volume) => volume.name === 'cache'),
        {
          name: 'cache',
          ...want,
        },
      );
    });
  }

  it('makes a cache on a claim writable', () => {
    const { pod } = build({ cache: { persistentVolumeClaim: { claimName: 'c' } } });

    assert.equal(pod.securityContext?.fsGroup, 65532);
  });

  it('rolls as the class says', () => {
    const { deployment } = build({ rollout: { maxSurge: '25%', maxUnavailable: '2' } });

    assert.deepEqual(deployment.spec?.strategy?.rollingUpdate, {
      maxSurge: '25%',
      maxUnavailable: 2,
    });
  });
});
