// Whether two entries of the catalog are one model in memory. Pure.
import { isDeepStrictEqual } from 'node:util';
import type { CatalogModel } from '../../contract.ts';

export const isSameModel = (a: CatalogModel, b: CatalogModel): boolean =>
  a === b || isDeepStrictEqual(essence(a), essence(b));

/** `preload` says when to load, not what; `commit` is what the first load resolved the revision to. */
function essence({ source, ...model }: CatalogModel) {
  const hub = source.huggingFace;
  return { ...model, preload: false, ...source, huggingFace: hub && { ...hub, commit: undefined } };
}
