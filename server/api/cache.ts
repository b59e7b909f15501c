// /cache: what this pod holds in memory, and the verbs to load and to drop it.
import type { Request, RequestHandler } from 'express';
import { AppError } from '../../common/errors.ts';
import { clientSignal } from '../../common/http.ts';
import type { CachedModel, ModelCache } from '../model/cache/model-cache.ts';
import type { LoadedModel } from '../model/loaded.ts';
import { senderOf } from './leased.ts';
import { type ModelLookup, named, requestedModel } from './requested-model.ts';

type Cache = ModelCache<LoadedModel>;

export function getCache(cache: Cache, maxModels: number): RequestHandler {
  return function listCache(_req, res) {
    const models = cache.info().flatMap(cachedModel);
    res.json({ num_models: models.length, max_models: maxModels, models });
  };
}

export function clearCache(cache: Cache): RequestHandler {
  return async function clear(_req, res) {
    res.json({ removed: await cache.clear() });
  };
}

/** Answers when the model is loaded. */
export function putModel(cache: Cache, lookup: ModelLookup): RequestHandler {
  return async function load(req, res) {
    const signal = clientSignal(res);
    const model = await requestedModel(lookup, req.headers, nameInPath(req), signal);
    const lease = await cache.acquire(model, signal, senderOf(req).requestId);
    lease[Symbol.dispose]();
    res.json(findCached(cache, model.name));
  };
}

export function getModel(cache: Cache, lookup: ModelLookup): RequestHandler {
  return function show(req, res) {
    res.json(findCached(cache, fullName(lookup, nameInPath(req))));
  };
}

export function deleteModel(cache: Cache, lookup: ModelLookup): RequestHandler {
  return async function remove(req, res) {
    const name = fullName(lookup, nameInPath(req));
    if (!(await cache.remove(name))) throw notCached(name);
    res.json({ removed: [name] });
  };
}

/** `/cache/name`, `/cache/namespace/name` or `/cache/namespace%2Fname`. */
function nameInPath(req: Request): string {
  const { namespace, name } = req.params;
  return [namespace, name].filter((part) => part !== undefined).join('/');
}

/** A name that is not in the catalog stands for itself: it may still be in the cache. */
function fullName({ catalog }: ModelLookup, name: string): string {
  const models = named(catalog, name);
  if (models.length > 1)
    throw new AppError(
      'AMBIGUOUS_MODEL',
      `finding the model: "${name}" stands in several namespaces`,
    );
  return models[0]?.name ?? name;
}

function findCached(cache: Cache, name: string) {
  const [found] = cache
    .info()
    .filter((cached) => cached.name === name)
    .flatMap(cachedModel);
  if (!found) throw notCached(name);
  return found;
}

const notCached = (name: string) => new AppError('NOT_CACHED', `"${name}" is not in the cache`);

/** Only what is loaded counts as cached. */
function cachedModel({ name, value, inFlight, lastUsedMs }: CachedModel<LoadedModel>) {
  if (!value) return [];
  const { identity, weightBytes } = value.session;
  return [
    {
      name,
      bytes: weightBytes,
      quantization: identity.quantization,
      revision: identity.revision,
      in_flight: inFlight,
      last_used: new Date(lastUsedMs).toISOString(),
    },
  ];
}
