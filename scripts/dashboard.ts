// The Grafana dashboard of the chart: rows of panels, and what each asks Prometheus. Generated into the chart as JSON.

interface Query {
  readonly expr: string;
  /** Name of each line, from its labels. */
  readonly legend: string;
}

interface Panel {
  readonly title: string;
  /** In Grafana's words: s, bytes, Bps, reqps, percentunit, short. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Says what a reader should make of it. */
  readonly description?: string;
  readonly isStacked?: boolean;
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const every = '[$__rate_interval]';
const q = (expr: string, legend: string): Query => ({ expr, legend });
/** Zero where nothing of the kind has happened yet. */
const rate = (metric: string, by = '', where = ''): string =>
  `sum${by && ` by (${by})`} (rate(${metric}${where && `{${where}}`}${every})) or vector(0)`;
const quantiles = (metric: string, by = '', where = ''): Query[] =>
  [0.5, 0.95, 0.99].map((quantile) =>
    q(
      `histogram_quantile(${quantile}, sum by (${['le', by].filter(Boolean).join(', ')}) (rate(${metric}_bucket${where && `{${where}}`}${every})))`,
      `p${quantile * 100}${by && ` {{${by}}}`}`,
    ),
  );
const mean = (metric: string): string =>
  `sum(rate(${metric}_sum${every})) / sum(rate(${metric}_count${every}))`;

const ofModel = 'model=~"$model"';

const requests: Row = {
  title: 'Requests, as gateways see them',
  panels: [
    {
      title: 'Requests by status code',
      unit: 'reqps',
      queries: [q(rate('refmodel_gateway_requests_total', 'code', ofModel), '{{code}}')],
      isStacked: true,
    },
    {
      title: 'Share of 5xx by model',
      unit: 'percentunit',
      queries: [
        q(
          `(sum by (model) (rate(refmodel_gateway_requests_total{code=~"5..",${ofModel}}${every})) / sum by (model) (rate(refmodel_gateway_requests_total{${ofModel}}${every}))) or vector(0)`,
          '{{model}}',
        ),
      ],
    },
    {
      title: 'Time from request to answer',
      unit: 's',
      queries: quantiles('refmodel_gateway_request_duration_seconds', '', ofModel),
      description: 'Holds and cold starts included.',
    },
    {
      title: 'Requests that wait for a pod',
      unit: 'short',
      queries: [
        q(`sum by (model) (refmodel_gateway_held_requests{${ofModel}}) or vector(0)`, '{{model}}'),
      ],
      description: 'More than zero for long: no pod gets ready.',
    },
    {
      title: 'Requests at pods',
      unit: 'short',
      queries: [q(`sum by (model) (refmodel_gateway_in_flight_requests{${ofModel}})`, '{{model}}')],
    },
    {
      title: 'Time that held requests waited',
      unit: 's',
      queries: quantiles('refmodel_gateway_hold_seconds', '', ofModel),
    },
    {
      title: 'Errors of gateways',
      unit: 'reqps',
      queries: [q(rate('refmodel_gateway_errors_total', 'error', ofModel), '{{error}}')],
      description: 'By code; docs/errors.md has the remedy of each.',
    },
    {
      title: 'Wakes, failed wakes, retries',
      unit: 'ops',
      queries: [
        q(rate('refmodel_gateway_wakes_total'), 'wakes'),
        q(rate('refmodel_gateway_wake_failures_total'), 'failed wakes'),
        q(rate('refmodel_gateway_upstream_retries_total', 'reason'), 'retries: {{reason}}'),
      ],
    },
  ],
};

const coldStarts: Row = {
  title: 'Cold starts',
  panels: [
    {
      title: 'Phases of cold starts, nine in ten',
      unit: 's',
      queries: [
        q(
          'histogram_quantile(0.9, sum by (phase, le) (increase(refmodel_operator_cold_start_seconds_bucket[6h])))',
          '{{phase}}',
        ),
      ],
      description: 'Of the last six hours.',
    },
    {
      title: 'Models that are being loaded',
      unit: 'short',
      queries: [q('sum by (phase) (refmodel_server_loading_models)', '{{phase}}')],
      isStacked: true,
    },
    {
      title: 'Bytes of loads',
      unit: 'Bps',
      queries: [q(rate('refmodel_server_load_bytes_total', 'phase'), '{{phase}}')],
    },
    {
      title: 'Loads by result, conversions',
      unit: 'short',
      queries: [
        q(
          'sum by (code) (increase(refmodel_server_load_seconds_count[1h])) or vector(0)',
          '{{code}}',
        ),
        q(
          'sum by (quantization) (increase(refmodel_server_conversions_total[1h])) or vector(0)',
          'converted to {{quantization}}',
        ),
      ],
      description: 'In the last hour.',
    },
    {
      title: 'Cache folder, and its limit',
      unit: 'bytes',
      queries: [
        q('max by (namespace) (refmodel_server_disk_bytes)', 'held in {{namespace}}'),
        q('min by (namespace) (refmodel_server_disk_limit_bytes)', 'limit in {{namespace}}'),
      ],
      description:
        'Converted models and checkpoints. Without REFMODEL_CACHE_BYTES only the volume limits them.',
    },
    {
      title: 'Bytes that the cache folder gave up',
      unit: 'bytes',
      queries: [q('sum(increase(refmodel_server_disk_evicted_bytes_total[1h]))', 'evicted')],
      description:
        'In the last hour. What is asked for again is downloaded or converted again: enlarge the folder.',
    },
  ],
};

const models: Row = {
  title: 'Models in memory',
  panels: [
    {
      title: 'Memory of models, and its limit',
      unit: 'bytes',
      queries: [
        q('sum by (memory) (refmodel_server_resident_bytes)', 'held, {{memory}}'),
        q('sum by (memory) (refmodel_server_limit_bytes < 1e15)', 'limit, {{memory}}'),
      ],
    },
    {
      title: 'Memory by model',
      unit: 'bytes',
      queries: [
        q(
          `sum by (model, memory) (refmodel_server_model_bytes{${ofModel}})`,
          '{{model}}, {{memory}}',
        ),
      ],
      isStacked: true,
    },
    {
      title: 'Where requests find their model',
      unit: 'reqps',
      queries: [q(rate('refmodel_server_cache_lookups_total', 'result'), '{{result}}')],
      description: 'Many misses: models push each other out.',
    },
    {
      title: 'Evictions, deaths of runners',
      unit: 'short',
      queries: [
        q('sum(increase(refmodel_server_evictions_total[1h]))', 'evictions'),
        q(
          'sum by (how) (increase(refmodel_server_runner_deaths_total[1h])) or vector(0)',
          'deaths {{how}}',
        ),
      ],
      description: 'In the last hour.',
    },
    {
      title: 'KL of converted models from their checkpoints',
      unit: 'short',
      queries: [q(`max by (model) (refmodel_server_fidelity_kl{${ofModel}})`, '{{model}}')],
      description: 'Nats per token, measured when the model was converted.',
    },
    {
      title: 'Divergence of policies from their reference',
      unit: 'short',
      queries: [
        q(
          `avg by (model, estimator) (refmodel_server_policy_divergence_last{${ofModel}})`,
          '{{model}} {{estimator}}',
        ),
      ],
      description: 'Nats per token, of the last batch that sent policy_logprobs.',
    },
  ],
};

const batches: Row = {
  title: 'Passes',
  panels: [
    {
      title: 'Tokens',
      unit: 'short',
      queries: [
        q(rate('refmodel_server_prompt_tokens_total'), 'sent'),
        q(rate('refmodel_server_packed_tokens_total'), 'computed'),
        q(rate('refmodel_server_shared_tokens_total'), 'shared'),
        q(rate('refmodel_server_scored_tokens_total'), 'scored'),
      ],
      description: 'Tokens a second.',
    },
    {
      title: 'Rows and tokens of a pass',
      unit: 'short',
      queries: [
        q(mean('refmodel_server_batch_rows'), 'rows'),
        q(mean('refmodel_server_batch_tokens'), 'tokens'),
      ],
    },
    {
      title: 'Padding of attention',
      unit: 'percentunit',
      queries: [
        q(
          `sum(rate(refmodel_server_attention_padding_total${every})) / sum(rate(refmodel_server_attention_slots_total${every}))`,
          'padding',
        ),
      ],
    },
    {
      title: 'Time in the queue',
      unit: 's',
      queries: quantiles('refmodel_server_queue_seconds'),
    },
    { title: 'Time of a pass', unit: 's', queries: quantiles('refmodel_server_pass_seconds') },
    {
      title: 'Tokens that wait',
      unit: 'short',
      queries: [
        q(`sum by (model) (refmodel_server_queued_tokens{${ofModel}})`, 'tokens of {{model}}'),
        q(`sum by (model) (refmodel_server_queued_rows{${ofModel}})`, 'rows of {{model}}'),
      ],
    },
    {
      title: 'Time from request to answer, at pods',
      unit: 's',
      queries: quantiles('refmodel_server_request_duration_seconds', '', 'route!="none"'),
    },
    {
      title: 'Errors of pods; passes that did not fit',
      unit: 'reqps',
      queries: [
        q(rate('refmodel_server_errors_total', 'error'), '{{error}}'),
        q(rate('refmodel_server_halved_passes_total'), 'halved passes'),
      ],
    },
  ],
};

const operator: Row = {
  title: 'Operator',
  panels: [
    {
      title: 'Models by condition',
      unit: 'short',
      queries: [
        q(
          'sum by (condition) (refmodel_operator_model_condition == 1) or vector(0)',
          '{{condition}}',
        ),
      ],
      description: 'Models of which the condition is True.',
    },
    {
      title: 'Pods of pools',
      unit: 'short',
      queries: [q('sum by (pool, state) (refmodel_operator_pool_replicas)', '{{pool}} {{state}}')],
    },
    {
      title: 'Scalings by reason',
      unit: 'short',
      queries: [
        q(
          'sum by (reason) (increase(refmodel_operator_scalings_total[1h])) or vector(0)',
          '{{reason}}',
        ),
      ],
      description: 'In the last hour. Wakes from zero are the gateways’.',
    },
    {
      title: 'Runs, failed runs',
      unit: 'ops',
      queries: [
        q(rate('refmodel_operator_reconcile_seconds_count', 'queue'), 'runs {{queue}}'),
        q(rate('refmodel_operator_reconcile_errors_total', 'queue'), 'failed {{queue}}'),
      ],
    },
    {
      title: 'Time of a run; keys that wait',
      unit: 's',
      queries: [
        ...quantiles('refmodel_operator_reconcile_seconds', 'queue').slice(1),
        q('sum by (queue) (refmodel_operator_queue_depth)', 'keys {{queue}}'),
      ],
    },
    {
      title: 'Calls to the Kubernetes API',
      unit: 'ops',
      queries: [
        q(rate('refmodel_operator_api_call_seconds_count', 'method, code'), '{{method}} {{code}}'),
        q(rate('refmodel_operator_writes_total', 'kind'), 'writes {{kind}}'),
      ],
    },
    {
      title: 'Gateways, leaders',
      unit: 'short',
      queries: [
        q('max by (state) (refmodel_operator_gateways)', 'gateways {{state}}'),
        q('sum(refmodel_operator_leading)', 'leaders'),
        q('sum by (pool) (refmodel_gateway_endpoints) or vector(0)', 'ready pods of {{pool}}'),
      ],
    },
  ],
};

/** Ours alone: other jobs of the same Prometheus have metrics of these names too. */
const processes: Row = {
  title: 'Processes',
  panels: [
    {
      title: 'Resident memory',
      unit: 'bytes',
      queries: [q('process_resident_memory_bytes{job=~".*refmodel.*"}', '{{job}} {{pod}}')],
    },
    {
      title: 'Processor time',
      unit: 'short',
      queries: [
        q(`rate(process_cpu_seconds_total{job=~".*refmodel.*"}${every})`, '{{job}} {{pod}}'),
      ],
      description: 'Processors in use. Runners of models are processes of their own and not in it.',
    },
    {
      title: 'Resident memory of runners',
      unit: 'bytes',
      queries: [
        q(`sum by (model) (refmodel_server_runner_resident_memory_bytes{${ofModel}})`, '{{model}}'),
      ],
      description: 'One process for each loaded model, with the files that it maps.',
    },
    {
      title: 'Processor time of runners',
      unit: 'short',
      queries: [
        q(
          `sum by (model) (rate(refmodel_server_runner_cpu_seconds_total{${ofModel}}${every}))`,
          '{{model}}',
        ),
      ],
      description: 'Processors that are busy with a model.',
    },
    {
      title: 'Lag of the event loop',
      unit: 's',
      queries: [q('nodejs_eventloop_lag_p99_seconds{job=~".*refmodel.*"}', '{{job}} {{pod}}')],
    },
  ],
};

const rows = [requests, coldStarts, models, batches, operator, processes];
const width = 8;
const height = 8;
const perLine = 24 / width;
const datasource = { type: 'prometheus', uid: '$datasource' };

function panelJson(panel: Panel, { id, x, y }: { id: number; x: number; y: number }): object {
  return {
    id,
    type: 'timeseries',
    title: panel.title,
    ...(panel.description && { description: panel.description }),
    datasource,
    gridPos: { h: height, w: width, x, y },
    fieldConfig: {
      defaults: {
        unit: panel.unit,
        min: 0,
        custom: {
          fillOpacity: panel.isStacked ? 40 : 10,
          showPoints: 'never',
          ...(panel.isStacked && { stacking: { mode: 'normal', group: 'A' } }),
        },
      },
      overrides: [],
    },
    options: {
      legend: { displayMode: 'list', placement: 'bottom' },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
    targets: panel.queries.map(({ expr, legend }, i) => ({
      refId: String.fromCharCode(65 + i),
      datasource,
      expr,
      legendFormat: legend,
    })),
  };
}

function panelsJson(): object[] {
  const panels: object[] = [];
  let y = 0;
  let id = 0;
  for (const { title, panels: own } of rows) {
    panels.push({
      id: ++id,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { h: 1, w: 24, x: 0, y },
      panels: [],
    });
    y += 1;
    for (const [i, panel] of own.entries()) {
      const at = { x: (i % perLine) * width, y: y + Math.floor(i / perLine) * height };
      panels.push(panelJson(panel, { id: ++id, ...at }));
    }
    y += Math.ceil(own.length / perLine) * height;
  }
  return panels;
}

/** In the format of Grafana 10 and newer. */
export const dashboard = (): object => ({
  uid: 'refmodel',
  title: 'refmodel',
  description: 'Reference and reward models: requests, cold starts, memory, passes, operator.',
  tags: ['refmodel'],
  schemaVersion: 39,
  editable: true,
  refresh: '30s',
  time: { from: 'now-3h', to: 'now' },
  timezone: 'browser',
  templating: {
    list: [
      { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' },
      {
        name: 'model',
        type: 'query',
        label: 'Model',
        datasource,
        query: { query: 'label_values(refmodel_gateway_requests_total, model)', refId: 'models' },
        refresh: 2,
        sort: 1,
        multi: true,
        includeAll: true,
        allValue: '.*',
        current: { text: ['All'], value: ['$__all'] },
      },
    ],
  },
  panels: panelsJson(),
});
