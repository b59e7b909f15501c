// ReferenceModels → the catalog file that a pool's servers read. Pure.
import type { ReferenceModel } from '../crds/reference-model.ts';
import { type Catalog, type CatalogModel, hubReference } from '../server/contract.ts';
import { type ModelKey, modelKey } from './pool.ts';

/** Where a server finds what a spec names: what is mounted in a pod, what is given by hand on one machine. */
export interface Places {
  claim(name: string): string;
  /** Folder with a file for each key; undefined where HF_TOKEN stands for all of them. */
  secret(name: string): string | undefined;
}

export const podPlaces = {
  claim: (name: string) => `/volumes/${name}`,
  secret: (name: string) => `/secrets/${name}`,
} satisfies Places;

export function catalogModel(model: ReferenceModel, places: Places): CatalogModel {
  const { spec } = model;
  return {
    name: modelKey(model),
    source: sourceOf(model, places),
    ...(spec.task && { task: spec.task }),
    quantization: spec.quantization,
    ...(spec.dtype && { dtype: spec.dtype }),
    preload: spec.preload,
    maxSequenceTokens: spec.limits.maxSequenceTokens,
    maxBatchTokens: spec.limits.maxBatchTokens,
    ...(spec.fidelity && { maxKL: numberOf(spec.fidelity.maxKL) }),
  };
}

/** JSON has no infinity. */
const numberOf = (text: string): number => Math.min(Number(text), Number.MAX_VALUE);

function sourceOf({ spec, status }: ReferenceModel, places: Places): CatalogModel['source'] {
  const { persistentVolumeClaim: claim, huggingFace: hub } = spec.model;
  if (claim) return { volume: { root: places.claim(claim.claimName), path: claim.path } };
  if (!hub) return {};
  const { repo, revision, tokenSecretRef: ref } = hub;
  const known = status?.model;
  const isPinned = known?.resolvedFrom === hubReference(hub);
  const folder = ref && places.secret(ref.name);
  return {
    huggingFace: {
      repo,
      revision,
      ...(isPinned && { commit: known?.revision }),
      ...(ref && folder && { tokenFile: `${folder}/${ref.key}` }),
    },
  };
}

/** Sorted by name, so that the same models always give the same bytes. */
export function buildCatalog(models: readonly ReferenceModel[], places: Places): Catalog {
  const entries = models.map((model) => catalogModel(model, places));
  return { models: entries.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** A model that a run holds a lease on is loaded before it is asked for, and evicted last, as if its spec said so. */
export const withPreloads = ({ models }: Catalog, leased: ReadonlySet<ModelKey>): Catalog => ({
  models: models.map((model) => ({ ...model, preload: model.preload || leased.has(model.name) })),
});
