// Manifests that no API server and no `refmodel local` may take, with the field that the refusal must name.
import { classManifest, modelManifest } from './builders.ts';

export interface BadManifest {
  name: string;
  manifest: { kind: string };
  /** Part of the message: the path of the field. */
  field: string;
}

const volume = { claimName: 'models', path: 'tiny' };
const hub = { repo: 'owner/name' };
const source = (model: object) => modelManifest({ spec: { model } });
const path = (text: string) =>
  source({ persistentVolumeClaim: { claimName: 'models', path: text } });
const scaling = (value: object) => modelManifest({ spec: { scaling: value } });

export const badManifests: BadManifest[] = [
  {
    name: 'two sources',
    manifest: source({ persistentVolumeClaim: volume, huggingFace: hub }),
    field: 'spec.model',
  },
  { name: 'no source', manifest: source({}), field: 'spec.model' },
  {
    name: 'no model',
    manifest: modelManifest({ spec: { model: undefined } }),
    field: 'spec.model',
  },
  {
    name: 'unknown quantization',
    manifest: modelManifest({ spec: { quantization: 'Int7' } }),
    field: 'spec.quantization',
  },
  {
    name: 'negative timeout',
    manifest: scaling({ idleTimeout: '-5m' }),
    field: 'spec.scaling.idleTimeout',
  },
  {
    name: 'path that climbs out of the volume',
    manifest: path('a/../../etc'),
    field: 'spec.model.persistentVolumeClaim.path',
  },
  {
    name: 'absolute path',
    manifest: path('/etc'),
    field: 'spec.model.persistentVolumeClaim.path',
  },
  {
    name: 'claim name that no claim can have',
    manifest: source({ persistentVolumeClaim: { claimName: 'a:b' } }),
    field: 'spec.model.persistentVolumeClaim.claimName',
  },
  {
    name: 'name too long',
    manifest: modelManifest({ metadata: { name: 'x'.repeat(51) } }),
    field: 'metadata.name',
  },
  {
    name: 'name that is no Service name',
    manifest: modelManifest({ metadata: { name: '1st.model' } }),
    field: 'metadata.name',
  },
  {
    name: 'minReplicas above maxReplicas',
    manifest: scaling({ minReplicas: 3, maxReplicas: 2 }),
    field: 'spec.scaling.minReplicas',
  },
  {
    name: 'minReplicas above the default maxReplicas',
    manifest: scaling({ minReplicas: 2 }),
    field: 'spec.scaling.minReplicas',
  },
  {
    name: 'no replica at all',
    manifest: scaling({ maxReplicas: 0 }),
    field: 'spec.scaling.maxReplicas',
  },
  {
    name: 'half a replica',
    manifest: scaling({ maxReplicas: 1.5 }),
    field: 'spec.scaling.maxReplicas',
  },
  {
    name: 'concurrency of zero',
    manifest: scaling({ concurrency: 0 }),
    field: 'spec.scaling.concurrency',
  },
  {
    name: 'class name that no class can have',
    manifest: modelManifest({ spec: { gpuClass: 'A100 80GB' } }),
    field: 'spec.gpuClass',
  },
  {
    name: 'limit of zero tokens',
    manifest: modelManifest({ spec: { limits: { maxSequenceTokens: 0 } } }),
    field: 'spec.limits.maxSequenceTokens',
  },
  {
    name: 'fidelity that is no number',
    manifest: modelManifest({ spec: { fidelity: { maxKL: 'low' } } }),
    field: 'spec.fidelity.maxKL',
  },
  {
    name: 'repository without owner',
    manifest: source({ huggingFace: { repo: 'llama' } }),
    field: 'spec.model.huggingFace.repo',
  },
  {
    name: 'repository above the folder of repositories',
    manifest: source({ huggingFace: { repo: '../x' } }),
    field: 'spec.model.huggingFace.repo',
  },
  {
    name: 'revision that is no name',
    manifest: source({ huggingFace: { repo: 'a/b', revision: '-x y' } }),
    field: 'spec.model.huggingFace.revision',
  },
  {
    name: 'key of a Secret that is a path',
    manifest: source({
      huggingFace: { repo: 'a/b', tokenSecretRef: { name: 'hf', key: '../token' } },
    }),
    field: 'spec.model.huggingFace.tokenSecretRef.key',
  },
  {
    name: 'unknown task',
    manifest: modelManifest({ spec: { task: 'Chat' } }),
    field: 'spec.task',
  },
  {
    name: 'class without memory',
    manifest: classManifest({ spec: { memory: undefined } }),
    field: 'spec.memory',
  },
  {
    name: 'class with unknown provider',
    manifest: classManifest({ spec: { executionProvider: 'TPU' } }),
    field: 'spec.executionProvider',
  },
  {
    name: 'class that holds no model',
    manifest: classManifest({ spec: { maxModels: 0 } }),
    field: 'spec.maxModels',
  },
  {
    name: 'class with two cache volumes',
    manifest: classManifest({ spec: { cache: { emptyDir: {}, hostPath: { path: '/x' } } } }),
    field: 'spec.cache',
  },
  {
    name: 'class whose pods can never be replaced',
    manifest: classManifest({ spec: { rollout: { maxSurge: '0%', maxUnavailable: '0' } } }),
    field: 'spec.rollout',
  },
];
