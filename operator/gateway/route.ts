// Request → model. Pure: it knows names and addresses, nothing of pods.
import { AppError } from '../../common/errors.ts';
import { readInferencePath } from '../../server/contract.ts';
import { type ModelKey, objectKey, splitKey } from '../pool.ts';
import type { GatewayModel } from './backend.ts';

export type Models = ReadonlyMap<ModelKey, GatewayModel>;

/** What host and path say. */
export interface Address {
  /** Undefined when only the body can tell. */
  model: GatewayModel | undefined;
  /** Path as the pod knows it, without the prefix that named the model. */
  path: string;
  /** "?…" or empty. */
  query: string;
  /** The host is that of some Service, but no model's: then the only model there is was not meant. */
  isStranger: boolean;
}

/**
 * Paths that two readers may read differently (RFC 3986, 6.2.2): what is judged here must be what the pod reads.
 * Unreserved characters need no encoding, and zero has no place in a path.
 */
const ambiguousWriting =
  /\/\/|\/\.{1,2}(\/|$)|\\|%(00|2[DE]|3\d|4[1-9A-F]|5[\dAFC]|6[1-9A-F]|7[\dAE])/i;

/** Paths of a pod that are for gateways and probes, never for clients. */
const podPaths = new Set(['state', 'metrics', 'readyz', 'healthz']);

/**
 * Finds the model by host, else by path. Throws ROUTE_NOT_FOUND for a target without a path, and
 * MODEL_NOT_FOUND for a path that names a model that does not exist.
 */
export function readAddress(
  request: { host: string | undefined; url: string },
  models: Models,
): Address {
  const { path, query } = splitUrl(request.url);
  if (ambiguousWriting.test(path)) {
    const rule =
      'without empty or dot segments, backslashes, and letters or digits that are encoded';
    throw new AppError('ROUTE_NOT_FOUND', `reading the address: write the path ${rule}`);
  }
  const host = (request.host ?? '').toLowerCase().replace(/:\d+$/, '');
  const named = byHost(host, models);
  const address = named ? { model: named, path } : byPath(path, models);
  const isStranger = !named && serviceHost.test(host);
  return inferenceAddress(cacheAddress({ ...address, query, isStranger }, models), models);
}

/**
 * The model of a request: by its address, else by the body's `model`, else the only one there is.
 * `/cache` is about a pool: there any model of the only pool will do.
 */
export function resolveModel(
  address: Address,
  nameInBody: () => string | undefined,
  models: Models,
): GatewayModel {
  if (address.model) return address.model;
  const name = nameInBody();
  if (name !== undefined) return findModel(name, models);
  if (models.size === 0 || address.isStranger) {
    throw new AppError('MODEL_NOT_FOUND', 'finding the model: no ReferenceModel has this address');
  }
  const [first] = models.values();
  if (first && (models.size === 1 || isOnlyCache(address, first, models))) return first;
  throw new AppError(
    'AMBIGUOUS_MODEL',
    `finding the model: there are ${models.size}, name one: "model": "namespace/name" in the body`,
  );
}

function isOnlyCache(address: Address, { pool }: GatewayModel, models: Models): boolean {
  const isCache = /^\/cache\/?$/.test(address.path);
  return isCache && [...models.values()].every((model) => model.pool === pool);
}

/** True for a path that pods keep to themselves. */
export function isPodPath(path: string): boolean {
  const [, first = '', rest] = path.toLowerCase().split('/', 3);
  return podPaths.has(first) && !rest;
}

/** Requests may also carry a whole URL (RFC 9112, 3.2.2); a pod would read its path, so it counts here. */
export function splitUrl(url: string): { path: string; query: string } {
  if (!url.startsWith('/')) {
    if (!URL.canParse(url)) throw new AppError('ROUTE_NOT_FOUND', 'reading the address: no path');
    const { pathname, search } = new URL(url);
    return { path: pathname, query: search };
  }
  const [whole = ''] = url.split('#'); // a fragment has no place here, but parsers let it pass
  const mark = whole.indexOf('?');
  return mark < 0
    ? { path: whole, query: '' }
    : { path: whole.slice(0, mark), query: whole.slice(mark) };
}

/** The address of a Service: `<name>.<namespace>.svc`, with or without the cluster's domain. */
const serviceHost = /^([^.]+)\.([^.]+)\.svc(\..+)?$/;
const shortHost = /^([^.]+)\.([^.]+)$/;

function byHost(host: string, models: Models): GatewayModel | undefined {
  const [, name, namespace] = serviceHost.exec(host) ?? shortHost.exec(host) ?? [];
  return name && namespace ? models.get(objectKey(namespace, name)) : undefined;
}

/** Paths of pods that could have the prefix of a model; and all of theirs that are as long as one with a prefix. */
const ambiguous = /^\/(v2\/models|inference\/v1)\//;
const long = /^\/(v1|v2|inference|cache)\//;

/** `/<namespace>/<name>/<rest>`, if there is such a model and a rest. */
function byPath(path: string, models: Models): Pick<Address, 'model' | 'path'> {
  if (ambiguous.test(path)) return { model: undefined, path };
  const [, namespace, name, rest] = /^\/([^/]+)\/([^/]+)(\/.+)$/.exec(path) ?? [];
  const model = namespace && name ? models.get(objectKey(namespace, name)) : undefined;
  if (model && rest) return { model, path: rest };
  if (rest && !long.test(path)) throw notFound(`${namespace}/${name}`);
  return { model: undefined, path };
}

/** `/cache/<namespace>/<name>` and `/cache/<name>` name their model, whatever the rest of the address says. */
function cacheAddress(address: Address, models: Models): Address {
  const [, text] = /^\/cache\/(.+?)\/?$/.exec(address.path) ?? [];
  if (text === undefined) return address;
  const name = decodeURIComponentOr(text);
  const namespace = address.model && splitKey(address.model.key).namespace;
  const sibling = namespace === undefined ? undefined : models.get(objectKey(namespace, name));
  const model = sibling ?? findModel(name, models);
  return { ...address, model, path: `/cache/${model.key}` };
}

/** `/v2/models/<name>/…` names its model too, unless the rest of the address does: then it may have any name there. */
function inferenceAddress(address: Address, models: Models): Address {
  const inference = readInferencePath(address.path);
  if (!inference || address.model) return address;
  return { ...address, model: findModel(inference.name, models) };
}

function decodeURIComponentOr(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no model has such a name
  }
}

/** By "<namespace>/<name>", or by a name that only one model has. Throws MODEL_NOT_FOUND, AMBIGUOUS_MODEL. */
export function findModel(name: string, models: Models): GatewayModel {
  const exact = models.get(name);
  if (exact) return exact;
  const matches = [...models.values()].filter(({ key }) => splitKey(key).name === name);
  const [first, second] = matches;
  if (first && second) {
    // Which ones there are is not for everybody.
    const message = `finding the model: ${matches.length} namespaces have a "${name}"`;
    throw new AppError('AMBIGUOUS_MODEL', message);
  }
  if (first) return first;
  throw notFound(name);
}

const notFound = (name: string) =>
  new AppError('MODEL_NOT_FOUND', `finding the model: there is no "${name}"`);
