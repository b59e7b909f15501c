// What this pod reports about itself, to whoever routes and scales.
import type { ModelState, ServerState } from './contract.ts';
import type { CachedModel } from './model/cache.ts';
import type { LoadedModel } from './model/loaded.ts';

export function serverState(
  models: readonly CachedModel<LoadedModel>[],
  options: { maxModels: number; isDraining: boolean },
): ServerState {
  return { models: models.map(modelState), ...options };
}

function modelState(cached: CachedModel<LoadedModel>): ModelState {
  const { name, residency, inFlight, value, error } = cached;
  return {
    name,
    residency,
    inFlight,
    lastUsed: new Date(cached.lastUsedMs).toISOString(),
    ...(value && {
      identity: value.session.identity,
      weightBytes: value.session.weightBytes,
      seconds: value.session.seconds,
    }),
    ...(error && { error: { code: error.code, message: error.message } }),
  };
}
