// Objects with sensible defaults, so that a test states only what it is about.
import { type GPUClass, gpuClass as gpuClassSchema } from '../../crds/gpu-class.ts';
import {
  apiVersion,
  type ReferenceModel,
  referenceModel as referenceModelSchema,
} from '../../crds/reference-model.ts';

/** Input as a person would write it in YAML; defaults come from the schema. */
export type Manifest = { metadata?: object; spec?: object; status?: object };

export const modelManifest = ({ metadata = {}, spec = {}, status }: Manifest = {}) => ({
  apiVersion,
  kind: 'ReferenceModel',
  metadata: { name: 'tiny', namespace: 'rl', uid: 'uid-tiny', ...metadata },
  spec: { model: { persistentVolumeClaim: { claimName: 'models', path: 'tiny' } }, ...spec },
  ...(status && { status }),
});

export const classManifest = ({ metadata = {}, spec = {} }: Manifest = {}) => ({
  apiVersion,
  kind: 'GPUClass',
  metadata: { name: 'cpu', ...metadata },
  spec: { executionProvider: 'CPU', memory: '4Gi', ...spec },
});

export const referenceModel = (manifest: Manifest = {}): ReferenceModel =>
  referenceModelSchema.parse(modelManifest(manifest));

export const gpuClass = (manifest: Manifest = {}): GPUClass =>
  gpuClassSchema.parse(classManifest(manifest));
