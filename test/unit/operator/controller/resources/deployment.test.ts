import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../../../../common/config.ts';
import { poolDeployment } from '../../../../../operator/controller/resources/deployment.ts';
import { serverConfig } from '../../../../../server/config.ts';
import { gpuClass, referenceModel } from '../../../../support/builders.ts';

const settings = {
  images: { CPU: 'refmodel:1', CUDA: 'refmodel:1-cuda', WebGPU: 'none' },
  imagePullPolicy: 'IfNotPresent' as const,
  imagePullSecrets: ['registry', 'mirror'],
  env: { HF_ENDPOINT: 'http://mirror', HF_HUB_OFFLINE: 'true' },
};
const onClaim = (name: string, claimName: string) =>
  referenceModel({
    metadata: { name, uid: `uid-${name}` },
    spec: { model: { persistentVolumeClaim: { claimName, path: 'x' } } },
  });

function build(spec: object = {}, models = [referenceModel()]) {
  const place = { namespace: 'rl', pool: 'rfm-pool-cpu', leased: new Set<string>() };
  const plan = { ...place, models, gpuClass: gpuClass({ spec }) };
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

  it('names the Secrets of the registries', () => {
    assert.deepEqual(build().pod.imagePullSecrets, [{ name: 'registry' }, { name: 'mirror' }]);
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
    assert.equal(config.HF_ENDPOINT, 'http://mirror');
    assert.equal(config.HF_HUB_OFFLINE, true);
    assert.deepEqual(server.args, ['server']);
  });

  it('counts the memory of a CUDA class on the GPU', () => {
    const { server } = build({ executionProvider: 'CUDA', memory: '70Gi' });
    const env = Object.fromEntries((server.env ?? []).map(({ name, value }) => [name, value]));

    const config = parseConfig(serverConfig, env);

    assert.equal(config.REFMODEL_EXECUTION_PROVIDER, 'CUDA');
    assert.equal(config.REFMODEL_DEVICE_MEMORY_BYTES, 70 * 2 ** 30);
    assert.equal(config.REFMODEL_MEMORY_BYTES, undefined);
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

  it('mounts the named keys of each Secret, and starts without them', () => {
    const withToken = (name: string, tokenSecretRef?: object) =>
      referenceModel({
        metadata: { name, uid: `uid-${name}` },
        spec: { model: { huggingFace: { repo: 'a/b', tokenSecretRef } } },
      });
    const models = [
      withToken('a', { name: 'team', key: 'y' }),
      withToken('b', { name: 'own' }),
      withToken('c', { name: 'team', key: 'x' }),
      withToken('d'),
    ];

    const { pod, server } = build({}, models);

    assert.deepEqual(
      pod.volumes?.flatMap(({ secret }) => secret ?? []),
      [
        { secretName: 'own', items: [{ key: 'token', path: 'token' }], optional: true },
        {
          secretName: 'team',
          items: [
            { key: 'x', path: 'x' },
            { key: 'y', path: 'y' },
          ],
          optional: true,
        },
      ],
    );
    assert.deepEqual(
      server.volumeMounts?.filter(({ mountPath }) => mountPath.startsWith('/secrets/')),
      [
        { name: 'secret-0', mountPath: '/secrets/own', readOnly: true },
        { name: 'secret-1', mountPath: '/secrets/team', readOnly: true },
      ],
    );
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
    assert.equal(build({ executionProvider: 'CUDA' }).server.image, 'refmodel:1-cuda');
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

  const budgets = [
    { cache: { emptyDir: { sizeLimit: '10Gi' } }, want: 9 * 2 ** 30 },
    { cache: { emptyDir: { sizeLimit: '0' } }, want: undefined },
    { cache: { emptyDir: {} }, want: undefined },
    { cache: { hostPath: { path: '/cache' } }, want: undefined },
    { cache: {}, want: undefined },
  ];
  for (const { cache, want } of budgets) {
    it(`gives models ${want ?? 'no set number of'} bytes of ${JSON.stringify(cache)}`, () => {
      const { server } = build({ cache });
      const env = Object.fromEntries((server.env ?? []).map(({ name, value }) => [name, value]));

      assert.equal(parseConfig(serverConfig, env).REFMODEL_CACHE_BYTES, want);
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
