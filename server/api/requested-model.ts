// Which model a request means.
import type { IncomingHttpHeaders } from 'node:http';
import { linkSignals, why, withTimeout } from '../../common/abort.ts';
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import type { Catalog } from '../catalog.ts';
import { type CatalogModel, modelHeader } from '../contract.ts';

export interface ModelLookup {
  catalog: Pick<Catalog, 'isRead' | 'models' | 'find' | 'waitFor'>;
  clock: Clock;
  /** Time that a model named by the gateway is waited for: it may know of it before this pod does. */
  waitMs: number;
  /** Ends that wait: the catalog is not followed any more. */
  shutdown: AbortSignal;
}

/**
 * The gateway's header wins, then `name` (from the body or path: "namespace/name", or "name" when unique),
 * then the only model there is. Throws CATALOG_STALE, NOT_READY, MODEL_NOT_FOUND or AMBIGUOUS_MODEL.
 */
export async function requestedModel(
  lookup: ModelLookup,
  headers: IncomingHttpHeaders,
  name: string | undefined,
  signal: AbortSignal,
): Promise<CatalogModel> {
  const fromGateway = headers[modelHeader];
  if (typeof fromGateway === 'string') return waitForModel(lookup, fromGateway, signal);
  const { catalog } = lookup;
  if (!catalog.isRead)
    throw new AppError('NOT_READY', 'finding the model: no catalog was read yet');
  return findModel(catalog, name);
}

function findModel(catalog: ModelLookup['catalog'], name: string | undefined): CatalogModel {
  const candidates = name === undefined ? catalog.models : named(catalog, name);
  const [model] = candidates;
  if (model && candidates.length === 1) return model;
  const wanted = name === undefined ? 'none is named' : `"${name}"`;
  const code = candidates.length > 1 || name === undefined ? 'AMBIGUOUS_MODEL' : 'MODEL_NOT_FOUND';
  throw new AppError(
    code,
    `finding the model: ${wanted}, there are ${candidates.length} to choose from`,
  );
}

/** Every model that `name` may mean. */
export function named(catalog: ModelLookup['catalog'], name: string): CatalogModel[] {
  const exact = catalog.find(name);
  if (exact) return [exact];
  return catalog.models.filter((model) => model.name.endsWith(`/${name}`));
}

async function waitForModel(lookup: ModelLookup, name: string, signal: AbortSignal) {
  const known = lookup.catalog.find(name);
  if (known) return known;
  using ends = linkSignals(signal, lookup.shutdown);
  using limit = withTimeout(ends.signal, lookup.waitMs, lookup.clock);
  try {
    return await lookup.catalog.waitFor(name, limit.signal);
  } catch (err) {
    if (signal.aborted) throw err;
    if (why(limit.signal) === 'Shutdown') {
      throw new AppError('SHUTTING_DOWN', 'finding the model: the process is ending', {
        cause: err,
      });
    }
    const message = `finding the model: "${name}" is not in the catalog of this pod`;
    throw new AppError('CATALOG_STALE', message, { cause: err, retryAfterSeconds: 5 });
  }
}
