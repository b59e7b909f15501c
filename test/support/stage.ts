// What each test of the operator on a real API server begins with: a namespace and a class of its own, and the questions asked.
import assert from 'node:assert/strict';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import { resources } from '../../operator/kube/resources.ts';
import { classManifest, modelManifest } from './builders.ts';
import { type ControlPlane, newName } from './control-plane.ts';
import { eventually } from './eventually.ts';

export const soon = () => AbortSignal.timeout(10_000);

/** A namespace and a class of its own for each test, so that tests do not see one another. */
export async function stage(plane: ControlPlane) {
  const namespace = newName('ns');
  const gpuClass = newName('c');
  await plane.kubectl(['create', 'namespace', namespace]);
  const apply = (...objects: object[]) =>
    plane.kubectl(
      ['apply', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    );
  const model = (name: string, spec: object = {}) => {
    const { metadata: _, ...rest } = modelManifest({ spec: { gpuClass, ...spec } });
    return { ...rest, metadata: { name, namespace } };
  };
  const ofClass = (spec: object = {}) => classManifest({ metadata: { name: gpuClass }, spec });
  const get = (name: string): Promise<ReferenceModel> =>
    plane.client.get(resources.referenceModels, { namespace, name }, soon());
  return { namespace, gpuClass, pool: `rfm-pool-${gpuClass}`, apply, model, ofClass, get };
}

/** Waits until a condition of a model has the reason; then the model. */
export const reason = (
  get: () => Promise<ReferenceModel>,
  type: string,
  wanted: string,
  timeoutMs?: number,
) =>
  eventually(async () => {
    const model = await get();
    const found = model.status?.conditions?.find((condition) => condition.type === type);
    assert.equal(found?.reason, wanted, JSON.stringify(model.status));
    return model;
  }, timeoutMs);

/** Waits until the operator has nothing more to write for a pool: the hash comes last, after the hand-over. */
export const atRest = ({ client }: ControlPlane, namespace: string, pool: string) =>
  eventually(async () => {
    const ref = { namespace, name: pool };
    const { metadata } = await client.get(resources.deployments, ref, soon());
    assert.ok(metadata?.annotations?.['refmodel.dev/applied'], 'no hash yet');
  });

/** Zero to one, as a gateway does it. */
export const wake = ({ client }: ControlPlane, namespace: string, pool: string) =>
  eventually(async () => {
    const ref = { namespace, name: pool };
    const { metadata } = await client.get(resources.deployments, ref, soon());
    const { resourceVersion = '' } = metadata ?? {};
    const scale = { replicas: 1, resourceVersion, fieldManager: 'refmodel-gateway' };
    await client.setScale(resources.deployments, ref, scale, soon());
  });
