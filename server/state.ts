// What this pod reports about itself, to whoever routes and scales.
import type { ModelState, ServerState } from './contract.ts';
import type { CachedModel } from './model/cache/model-cache.ts';
import type { LoadedModel } from './model/loaded.ts';

export function serverState(
  models: readonly CachedModel<LoadedModel>[],
  options: { maxModels: number; isDraining: boolean },
): ServerState {
  return { models: models.map(modelState), ...options };
}

function modelState(cached: CachedModel<LoadedModel>): ModelState {
  const { name, residency, inFlight, value, seconds, progress, error } = cached;
  return {
    name,
    residency,
    inFlight,
    lastUsed: new Date(cached.lastUsedMs).toISOString(),
    ...(value && {
      identity: value.session.identity,
      ...(value.session.fidelity && { fidelity: value.session.fidelity }),
      weightBytes: value.session.weightBytes,
      memory: value.session.memory,
    }),
    ...(seconds && {
      seconds: {
        download: seconds.Downloading,
        convert: seconds.Converting,
        load: seconds.Loading,
      },
    }),
    ...(progress && { progress: { bytes: progress.bytes, totalBytes: progress.totalBytes } }),
    ...(error && { error: { code: error.code, message: error.message } }),
  };
}
