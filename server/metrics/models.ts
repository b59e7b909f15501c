// What is read of the models in memory at each scrape. Labels are names of the catalog: no client picks one.
import type { Metrics, Reading } from '../../common/metrics.ts';
import type { ModelState } from '../contract.ts';
import type { CachedModel } from '../model/cache/model-cache.ts';
import type { Bytes } from '../model/memory.ts';
import { type LoadPhase, loadPhases } from '../model/progress.ts';

export type Figures = NonNullable<ModelState['fidelity']>;

interface Backlog {
  readonly queuedRows: number;
  readonly queuedTokens: number;
}

/** Of a loaded model, what is shown. */
interface Shown {
  readonly memory: Bytes;
  readonly session: { readonly fidelity?: Figures };
  readonly scores?: Backlog;
  readonly rewards?: Backlog;
}
type Model = Pick<CachedModel<Shown>, 'name' | 'value' | 'residency' | 'inFlight' | 'progress'>;

export interface MetricSources {
  residents: () => { models: number; bytes: Bytes };
  /** What models may hold together. */
  limits: Bytes;
  models: () => readonly Model[];
}

export function modelMetrics(metrics: Metrics, { residents, limits, models }: MetricSources): void {
  metrics.readingOf('resident_models', 'Models that hold memory.', () => residents().models);
  metrics.reading(
    'resident_bytes',
    'Bytes that models hold together, of the host and of the device.',
    ['memory'],
    () => kinds(residents().bytes),
  );
  metrics.reading('limit_bytes', 'Bytes that models may hold together.', ['memory'], () =>
    kinds(limits),
  );
  metrics.reading('model_bytes', 'Bytes that a loaded model holds.', ['model', 'memory'], () =>
    models().flatMap(({ name, value }) =>
      kinds(value?.memory).map(([labels, bytes]) => [{ model: name, ...labels }, bytes] as const),
    ),
  );
  metrics.reading(
    'in_flight_requests',
    'Requests that use a model or wait for its load.',
    ['model'],
    () => models().map(({ name, inFlight }) => [{ model: name }, inFlight]),
  );
  const backlogs = (count: (backlog: Backlog) => number) => (): Reading<'model'>[] =>
    models().flatMap(({ name, value }) => {
      const backlog = value?.scores ?? value?.rewards;
      return backlog ? [[{ model: name }, count(backlog)]] : [];
    });
  const queued = (what: string) => `${what} that wait for a pass.`;
  metrics.reading(
    'queued_rows',
    queued('Rows'),
    ['model'],
    backlogs((b) => b.queuedRows),
  );
  metrics.reading(
    'queued_tokens',
    queued('Tokens'),
    ['model'],
    backlogs((b) => b.queuedTokens),
  );
  progressMetrics(metrics, models);
}

function progressMetrics(metrics: Metrics, models: MetricSources['models']): void {
  const byPhase = (name: string, help: string, read: (phase: LoadPhase) => number) =>
    metrics.reading(name, help, ['phase'], () =>
      loadPhases.map((phase) => [{ phase }, read(phase)]),
    );
  const progressIn = (phase: LoadPhase) =>
    models().flatMap(({ residency, progress }) => (residency === phase && progress) || []);
  byPhase('loading_models', 'Models that are being loaded, by phase.', (phase) => {
    return models().filter(({ residency }) => residency === phase).length;
  });
  byPhase('loading_done_bytes', 'Bytes that loads have done of their phase.', (phase) => {
    return progressIn(phase).reduce((sum, { bytes }) => sum + bytes, 0);
  });
  byPhase('loading_bytes', 'Bytes that loads have to do in their phase.', (phase) => {
    return progressIn(phase).reduce((sum, { totalBytes }) => sum + totalBytes, 0);
  });
}

function kinds(bytes: Bytes | undefined): Reading<'memory'>[] {
  if (!bytes) return [];
  return [
    [{ memory: 'host' }, bytes.host],
    [{ memory: 'device' }, bytes.device],
  ];
}
