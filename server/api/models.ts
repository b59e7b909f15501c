// GET /v1/models: the catalog in OpenAI's shape.
import type { RequestHandler } from 'express';
import type { Clock } from '../../common/clock.ts';
import type { Catalog } from '../catalog.ts';
import type { ModelCache } from '../model/cache/model-cache.ts';
import type { LoadedModel } from '../model/loaded.ts';

export function getModels(
  catalog: Pick<Catalog, 'models'>,
  cache: Pick<ModelCache<LoadedModel>, 'info'>,
  clock: Clock,
): RequestHandler {
  const created = Math.floor(clock.now() / 1000);
  return function models(_req, res) {
    const loaded = new Map(cache.info().map(({ name, value }) => [name, value]));
    const data = catalog.models.map(({ name, maxSequenceTokens }) => ({
      id: name,
      object: 'model',
      created,
      owned_by: 'refmodel',
      root: name,
      max_model_len: loaded.get(name)?.maxSequenceTokens ?? maxSequenceTokens, // its checkpoint may allow less
    }));
    res.json({ object: 'list', data });
  };
}
