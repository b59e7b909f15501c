// The metrics of a server process, as those who measure see them.
import type { Registry } from 'prom-client';
import { Metrics } from '../common/metrics.ts';
import { batchMetrics } from './metrics/batches.ts';
import { type DiskSources, diskMetrics } from './metrics/disk.ts';
import { fidelityMetrics } from './metrics/fidelity.ts';
import { loadMetrics } from './metrics/loads.ts';
import { type MetricSources as ModelSources, modelMetrics } from './metrics/models.ts';
import { requestMetrics } from './metrics/requests.ts';
import { type RunnerProcess, runnerMetrics } from './metrics/runners.ts';

export interface MetricSources extends ModelSources {
  models: () => ReturnType<ModelSources['models']> & readonly RunnerProcess[];
  disk: DiskSources;
}

export interface ServerMetrics
  extends ReturnType<typeof requestMetrics>,
    ReturnType<typeof batchMetrics>,
    ReturnType<typeof loadMetrics>,
    ReturnType<typeof fidelityMetrics> {
  readonly registry: Registry;
}

/** `sources` are asked at every scrape. */
export function createMetrics(sources: MetricSources): ServerMetrics {
  const metrics = new Metrics('refmodel_server_');
  modelMetrics(metrics, sources);
  runnerMetrics(metrics, sources.models);
  diskMetrics(metrics, sources.disk);
  return {
    registry: metrics.registry,
    ...requestMetrics(metrics),
    ...batchMetrics(metrics),
    ...loadMetrics(metrics),
    ...fidelityMetrics(metrics, sources.models),
  };
}
