// The metrics of a server process.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ModelState } from './contract.ts';
import type { Pass } from './model/batch/pass.ts';
import type { CachedModel, CacheObserver } from './model/cache/model-cache.ts';
import type { Bytes } from './model/memory.ts';
import { type LoadPhase, loadPhases } from './model/progress.ts';

const prefix = 'refmodel_server_';
const requestBuckets = [0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800];
const powers = (count: number) => Array.from({ length: count }, (_, i) => 2 ** i);

export interface ServerMetrics {
  registry: Registry;
  cache: CacheObserver;
  readonly onRequest: (route: string, code: number, seconds: number) => void;
  readonly onPass: (pass: Pass) => void;
  /** A pass did not fit on the GPU. */
  readonly onHalved: () => void;
  readonly onScored: (promptTokens: number, scoredTokens: number) => void;
  readonly onDivergence: (
    model: string,
    divergence: { k1: number; k3: number },
    isFar: boolean,
  ) => void;
}

/** Asked at every scrape. */
export interface MetricSources {
  residents: () => { models: number; bytes: Bytes };
  /** What models may hold together. */
  limits: Bytes;
  models: () => readonly Pick<Cached, 'name' | 'value' | 'residency' | 'progress'>[];
}
type Cached = CachedModel<{ readonly session: { readonly fidelity?: Figures } }>;
type Figures = NonNullable<ModelState['fidelity']>;

export function createMetrics({ residents, limits, models }: MetricSources): ServerMetrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = <T extends string>(name: string, help: string, labelNames: T[]) =>
    new Counter({ name: prefix + name, help, labelNames, registers });
  const histogram = <T extends string>(
    name: string,
    help: string,
    options: { buckets: number[]; labelNames?: T[] },
  ) => new Histogram({ name: prefix + name, help, registers, ...options });

  const requests = counter('requests_total', 'Requests answered.', ['route', 'code']);
  const duration = histogram('request_duration_seconds', 'Time from a request to its answer.', {
    buckets: requestBuckets,
    labelNames: ['route'],
  });
  const promptTokens = counter('prompt_tokens_total', 'Tokens of scored requests.', []);
  const scoredTokens = counter('scored_tokens_total', 'Tokens whose log-prob was computed.', []);
  const packedTokens = counter('packed_tokens_total', 'Tokens that passes computed.', []);
  const sharedTokens = counter(
    'shared_tokens_total',
    'Tokens of passes that were not computed: other rows begin with them too.',
    [],
  );
  const slots = counter('attention_slots_total', 'Queries of attention, padding included.', []);
  const paddedSlots = counter('attention_padding_total', 'Queries of attention for nothing.', []);
  const batchRows = histogram('batch_rows', 'Rows of a pass.', { buckets: powers(11) });
  const batchTokens = histogram('batch_tokens', 'Tokens of a pass, as asked.', {
    buckets: powers(9).map((n) => n * 64),
  });
  const halved = counter(
    'halved_passes_total',
    'Passes that did not fit on the GPU as a whole.',
    [],
  );
  const queue = histogram('queue_seconds', 'Time that the oldest row of a pass waited.', {
    buckets: requestBuckets,
  });
  const loads = histogram('load_seconds', 'Time of loads, by their error code.', {
    buckets: requestBuckets,
    labelNames: ['code'],
  });
  const loadPhaseSeconds = histogram('load_phase_seconds', 'Time of the phases of loads.', {
    buckets: requestBuckets,
    labelNames: ['phase'],
  });
  const deaths = counter('runner_deaths_total', 'Runners that ended by themselves.', ['how']);
  const evictions = counter('evictions_total', 'Models closed to make room.', []);
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: prefix + name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  const gaugeByPhase = (name: string, help: string, read: (phase: LoadPhase) => number) =>
    new Gauge({
      name: prefix + name,
      help,
      registers,
      labelNames: ['phase'],
      collect() {
        for (const phase of loadPhases) this.set({ phase }, read(phase));
      },
    });
  const progressIn = (phase: LoadPhase) =>
    models().flatMap(({ residency, progress }) => (residency === phase && progress) || []);
  gauge('resident_models', 'Models that hold memory.', () => residents().models);
  gauge('resident_bytes', 'Bytes that models hold in memory.', () => residents().bytes.host);
  gauge('resident_device_bytes', 'Bytes that models hold on the accelerator.', () => {
    return residents().bytes.device;
  });
  gauge(
    'device_limit_bytes',
    'Bytes that models may hold on the accelerator.',
    () => limits.device,
  );
  gaugeByPhase('loading_models', 'Models that are being loaded.', (phase) => {
    return models().filter(({ residency }) => residency === phase).length;
  });
  gaugeByPhase('loading_done_bytes', 'Bytes that loads have done of their phase.', (phase) => {
    return progressIn(phase).reduce((sum, { bytes }) => sum + bytes, 0);
  });
  gaugeByPhase('loading_bytes', 'Bytes that loads have to do in their phase.', (phase) => {
    return progressIn(phase).reduce((sum, { totalBytes }) => sum + totalBytes, 0);
  });

  addFidelity(registry, models);
  const onDivergence = addDivergence(registry);

  return {
    registry,
    cache: {
      onLoad: (seconds, code) => loads.observe({ code: code ?? 'OK' }, seconds),
      onPhase: (phase, seconds) => loadPhaseSeconds.observe({ phase }, seconds),
      onEvict: () => evictions.inc(),
      onDeath: (how) => deaths.inc({ how }),
    },
    onDivergence,
    onRequest(route, code, seconds) {
      requests.inc({ route, code });
      duration.observe({ route }, seconds);
    },
    onPass(pass) {
      batchRows.observe(pass.rows);
      batchTokens.observe(pass.tokens);
      packedTokens.inc(pass.packedTokens);
      sharedTokens.inc(pass.tokens - pass.packedTokens);
      slots.inc(pass.slots);
      paddedSlots.inc(pass.paddedSlots);
      queue.observe(pass.waitedMs / 1000);
    },
    onHalved: () => halved.inc(),
    onScored(prompt, scored) {
      promptTokens.inc(prompt);
      scoredTokens.inc(scored);
    },
  };
}

/** By names of the catalog: no client picks a label. */
function addFidelity(registry: Registry, models: MetricSources['models']): void {
  const gauge = (name: string, help: string, read: (figures: Figures) => number | undefined) =>
    new Gauge({
      name: `${prefix}fidelity_${name}`,
      help,
      registers: [registry],
      labelNames: ['model'],
      collect() {
        this.reset(); // those that have gone
        for (const { name: model, value } of models()) {
          const figure = value?.session.fidelity && read(value.session.fidelity);
          if (figure !== undefined) this.set({ model }, figure);
        }
      },
    });
  const which = 'of a converted model from its checkpoint';
  gauge('kl', `Mean KL divergence ${which}, in nats per token.`, ({ kl }) => kl);
  const of = 'difference of log-probs, or of scores,';
  gauge('mean_abs_delta', `Mean ${of} ${which}.`, ({ meanAbsDelta }) => meanAbsDelta);
  gauge('max_abs_delta', `Largest ${of} ${which}.`, ({ maxAbsDelta }) => maxAbsDelta);
}

/** By names of the catalog: no client picks a label. */
function addDivergence(registry: Registry): ServerMetrics['onDivergence'] {
  const options = { registers: [registry], labelNames: ['model'] as const };
  const batches = new Histogram({
    ...options,
    name: `${prefix}policy_divergence`,
    help: 'Divergence of policies from their reference by the k3 estimator, in nats per token, by batch.',
    buckets: [1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
  });
  const last = new Gauge({
    registers: [registry],
    labelNames: ['model', 'estimator'] as const,
    name: `${prefix}policy_divergence_last`,
    help: 'Divergence of the policy of the last batch from its reference, in nats per token.',
  });
  const far = new Counter({
    ...options,
    name: `${prefix}policy_divergence_warnings_total`,
    help: 'Batches whose policy was further from its reference than REFMODEL_WARN_DIVERGENCE.',
  });
  return (model, { k1, k3 }, isFar) => {
    batches.observe({ model }, k3);
    last.set({ model, estimator: 'k1' }, k1);
    last.set({ model, estimator: 'k3' }, k3);
    if (isFar) far.inc({ model });
  };
}
