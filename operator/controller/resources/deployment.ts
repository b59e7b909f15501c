// The Deployment of a pool: pods that pass the "restricted" Pod Security Standard. Pure.
// It never holds spec.replicas: who creates it adds them, and they belong to the scaler from then on.
import { durationMs, quantityValue } from '../../../crds/common.ts';
import type { GPUClassSpec } from '../../../crds/gpu-class.ts';
import type { ReferenceModel } from '../../../crds/reference-model.ts';
import { podPlaces } from '../../catalog.ts';
import { classSettings } from '../../class-settings.ts';
import type { Deployment } from '../../kube/resources.ts';
import { poolObjects, serverPort } from '../../pool.ts';
import { catalogFile } from './catalog.ts';
import { poolLabels, poolMeta, poolSelector, trafficSelector } from './meta.ts';
import type { PodSettings, PoolPlan } from './pool-plan.ts';

type PodSpec = NonNullable<NonNullable<Deployment['spec']>['template']['spec']>;
type Container = PodSpec['containers'][number];
type Volume = NonNullable<PodSpec['volumes']>[number];

const user = 65532;
const catalogFolder = '/etc/refmodel';
const cacheFolder = '/cache';
/** Of the limit of its emptyDir, what models may take. */
const cachePart = 0.9;
/** Gateways stop sending to a pod within this time after it began to end. Milliseconds. */
const unreadyDelayMs = 2000;
/** Time to end after the last request was answered. Seconds. */
const exitSeconds = 5;

export function poolDeployment(plan: PoolPlan, settings: PodSettings): Deployment {
  const { pool, gpuClass } = plan;
  const { rollout } = gpuClass.spec;
  const labels = { ...poolLabels(pool), ...trafficSelector(pool) };
  return {
    metadata: poolMeta(plan, poolObjects(pool).deployment),
    spec: {
      selector: { matchLabels: poolSelector(pool) }, // immutable: as little as possible
      revisionHistoryLimit: 2,
      strategy: {
        type: 'RollingUpdate',
        rollingUpdate: {
          maxSurge: intOrPercent(rollout.maxSurge),
          maxUnavailable: intOrPercent(rollout.maxUnavailable),
        },
      },
      template: { metadata: { labels }, spec: podSpec(plan, settings) },
    },
  };
}

function podSpec({ pool, models, gpuClass }: PoolPlan, settings: PodSettings): PodSpec {
  const { spec } = gpuClass;
  const mounts = [...claimMounts(models), ...secretMounts(models)];
  const drainMs = unreadyDelayMs + durationMs(spec.rollout.drainTimeout);
  return {
    serviceAccountName: poolObjects(pool).serviceAccount,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(settings.imagePullSecrets.length > 0 && {
      imagePullSecrets: settings.imagePullSecrets.map((name) => ({ name })),
    }),
    terminationGracePeriodSeconds: Math.ceil(drainMs / 1000) + exitSeconds,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: user,
      runAsGroup: user,
      seccompProfile: { type: 'RuntimeDefault' },
      // A claim belongs to root until somebody gives it away; the other volumes do not need it.
      ...(spec.cache.persistentVolumeClaim && {
        fsGroup: user,
        fsGroupChangePolicy: 'OnRootMismatch',
      }),
    },
    containers: [container(spec, settings, mounts)],
    volumes: [
      { name: 'catalog', configMap: { name: poolObjects(pool).catalog } },
      { name: 'cache', ...cacheVolume(spec) },
      { name: 'tmp', emptyDir: {} },
      ...mounts.map(({ volume }) => volume),
    ],
    ...placement(spec),
  };
}

/** Fields of the class that say where a pod may run, as they are; those that are not set are left out. */
function placement(spec: GPUClassSpec): Partial<PodSpec> {
  const { nodeSelector, tolerations, affinity, runtimeClassName, priorityClassName } = spec;
  return {
    ...(nodeSelector && { nodeSelector }),
    ...(tolerations && { tolerations }),
    ...(affinity && { affinity }),
    ...(runtimeClassName && { runtimeClassName }),
    ...(priorityClassName && { priorityClassName }),
  };
}

function container(spec: GPUClassSpec, settings: PodSettings, mounts: readonly Mount[]): Container {
  return {
    name: 'server',
    image: spec.image ?? settings.images[spec.executionProvider],
    imagePullPolicy: settings.imagePullPolicy,
    args: ['server'],
    env: environment(spec, settings),
    ports: [{ name: 'http', containerPort: serverPort, protocol: 'TCP' }],
    resources: spec.resources,
    readinessProbe: {
      httpGet: { path: '/readyz', port: 'http' },
      periodSeconds: 1,
      timeoutSeconds: 5,
      failureThreshold: 3,
    },
    livenessProbe: {
      httpGet: { path: '/healthz', port: 'http' },
      initialDelaySeconds: 10,
      periodSeconds: 10,
      timeoutSeconds: 10,
      failureThreshold: 6,
    },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'catalog', mountPath: catalogFolder, readOnly: true },
      { name: 'cache', mountPath: cacheFolder },
      { name: 'tmp', mountPath: '/tmp' },
      ...mounts.map(({ volume: { name }, mountPath }) => ({ name, mountPath, readOnly: true })),
    ],
  };
}

function environment(spec: GPUClassSpec, settings: PodSettings): Container['env'] {
  const values = {
    REFMODEL_PORT: serverPort,
    REFMODEL_CATALOG: `${catalogFolder}/${catalogFile}`,
    REFMODEL_CACHE_DIR: cacheFolder,
    ...cacheBudget(spec),
    ...classSettings(spec),
    REFMODEL_DRAIN_DELAY_MS: unreadyDelayMs,
    REFMODEL_CLOSE_TIMEOUT_MS: durationMs(spec.rollout.drainTimeout),
    ...settings.env,
  };
  return Object.entries(values).map(([name, value]) => ({ name, value: String(value) }));
}

/** Of an emptyDir with a limit: the kubelet evicts the pod when all of its files, not just the models, exceed that. */
function cacheBudget({ cache }: GPUClassSpec): { REFMODEL_CACHE_BYTES?: number } {
  const budget = Math.floor(quantityValue(cache.emptyDir?.sizeLimit ?? '0') * cachePart);
  return budget > 0 ? { REFMODEL_CACHE_BYTES: budget } : {};
}

function cacheVolume(spec: GPUClassSpec): Omit<Volume, 'name'> {
  const { emptyDir, hostPath, persistentVolumeClaim } = spec.cache;
  if (hostPath) return { hostPath: { path: hostPath.path, type: 'DirectoryOrCreate' } };
  if (persistentVolumeClaim) return { persistentVolumeClaim };
  return { emptyDir: emptyDir ?? {} };
}

interface Mount {
  readonly volume: Volume;
  readonly mountPath: string;
}

/** The claims of all models, each once, sorted. */
function claimMounts(models: readonly ReferenceModel[]): Mount[] {
  const claims = models.flatMap(({ spec }) => spec.model.persistentVolumeClaim?.claimName ?? []);
  return [...new Set(claims)].sort().map((claimName, i) => ({
    volume: { name: `claim-${i}`, persistentVolumeClaim: { claimName, readOnly: true } },
    mountPath: podPlaces.claim(claimName),
  }));
}

/**
 * The Secrets that models name, each once, with the named keys and no other. Optional: the pod must start without one
 * of them, for the models that need none; who needs it says so when it loads.
 */
function secretMounts(models: readonly ReferenceModel[]): Mount[] {
  const keys = new Map<string, Set<string>>();
  for (const { spec } of models) {
    const ref = spec.model.huggingFace?.tokenSecretRef;
    if (ref) keys.set(ref.name, (keys.get(ref.name) ?? new Set()).add(ref.key));
  }
  const sorted = [...keys].sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([secretName, names], i) => {
    const items = [...names].sort().map((key) => ({ key, path: key }));
    const volume = { name: `secret-${i}`, secret: { secretName, items, optional: true } };
    return { volume, mountPath: podPlaces.secret(secretName) };
  });
}

const intOrPercent = (amount: string): number | string =>
  amount.endsWith('%') ? amount : Number(amount);
