// ReferenceModels → the catalog file that a pool's servers read. Pure.
import type { ReferenceModel } from '../crds/reference-model.ts';
import type { Catalog, CatalogModel } from '../server/contract.ts';
import { modelKey } from './pool.ts';

/** Where a claim is mounted: `/volumes/<claim>` in a pod, a folder given by hand on one machine. */
export type VolumeRoot = (claimName: string) => string;

export const podVolumeRoot: VolumeRoot = (claimName) => `/volumes/${claimName}`;

export function catalogModel(model: ReferenceModel, volumeRoot: VolumeRoot): CatalogModel {
  const { spec } = model;
  const claim = spec.model.persistentVolumeClaim;
  return {
    name: modelKey(model),
    source: {
      ...(claim && { volume: { root: volumeRoot(claim.claimName), path: claim.path } }),
      ...(spec.model.huggingFace && {
        huggingFace: {
          repo: spec.model.huggingFace.repo,
          revision: spec.model.huggingFace.revision,
        },
      }),
    },
    ...(spec.task && { task: spec.task }),
    quantization: spec.quantization,
    preload: spec.preload,
    maxSequenceTokens: spec.limits.maxSequenceTokens,
    maxBatchTokens: spec.limits.maxBatchTokens,
  };
}

/** Sorted by name, so that the same models always give the same bytes. */
export function buildCatalog(models: readonly ReferenceModel[], volumeRoot: VolumeRoot): Catalog {
  const entries = models.map((model) => catalogModel(model, volumeRoot));
  return { models: entries.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}
