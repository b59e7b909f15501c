// What this pod reports about itself, to whoever routes and scales.
import type { Divergence } from './api/native/divergence.ts';
import type { ModelState, ServerState } from './contract.ts';
import type { CachedModel } from './model/cache/model-cache.ts';
import type { LoadedModel } from './model/loaded.ts';
import type { Bytes } from './model/memory.ts';

export interface PodFacts {
  maxModels: number;
  /** What models may hold together; endless where nothing tells. */
  memory: Bytes;
  isDraining: boolean;
  /** By model, of the last batch that came with the log-probs of its policy. */
  policies: ReadonlyMap<string, Divergence>;
}

export function serverState(
  models: readonly CachedModel<LoadedModel>[],
  { maxModels, memory, isDraining, policies }: PodFacts,
): ServerState {
  return {
    models: models.map((model) => modelState(model, policies.get(model.name))),
    maxModels,
    ...limitsOf(memory),
    isDraining,
  };
}

function limitsOf({ host, device }: Bytes): Pick<ServerState, 'limits'> {
  if (!Number.isFinite(host)) return {};
  const hasDevice = device > 0 && device < Number.MAX_SAFE_INTEGER;
  return { limits: { host, ...(hasDevice && { device }) } };
}

function modelState(cached: CachedModel<LoadedModel>, policy: Divergence | undefined): ModelState {
  const { name, residency, inFlight, value, seconds, progress, error } = cached;
  return {
    name,
    residency,
    inFlight,
    lastUsed: new Date(cached.lastUsedMs).toISOString(),
    ...(value && {
      identity: value.session.identity,
      ...(value.session.fidelity && { fidelity: value.session.fidelity }),
      ...(policy && { policy }),
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
