// The values of the Helm chart in zod, the one definition: values.schema.json is generated from it.
import { z } from 'zod';
import { namePattern } from '../crds/common.ts';
import { gpuClassSpec } from '../crds/gpu-class.ts';

const amounts = z.record(z.string(), z.union([z.string(), z.number()]));
const resources = z.strictObject({ requests: amounts.optional(), limits: amounts.optional() });

/** RFC 1123, as Kubernetes has it for namespaces. */
const namespacePattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

const url = z.string().regex(/^(https?:\/\/.+)?$/);

/** Peers, ports or rules of a NetworkPolicy, which the API server checks. */
const rules = z.array(z.looseObject({}));

/** Where the pods of one of our own processes run, and what they get. */
const process = {
  replicas: z.int().min(1).max(100),
  resources,
  priorityClassName: z.string().max(253),
  nodeSelector: z.record(z.string(), z.string()),
  tolerations: z.array(z.looseObject({})),
};

const labels = z.record(z.string(), z.string().max(63));
const optional = { enabled: z.boolean(), labels };

const shape = {
  image: z.strictObject({
    repository: z.string().min(1),
    tag: z.string(),
    cudaTag: z.string(),
    pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
    pullSecrets: z.array(z.strictObject({ name: z.string().min(1) })),
  }),
  labels,
  crds: z.strictObject({ enabled: z.boolean(), keep: z.boolean() }),
  watch: z.strictObject({ namespaces: z.array(z.string().max(63).regex(namespacePattern)) }),
  clusterDomain: z.string().min(1),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']),
  huggingFace: z.strictObject({ endpoint: url, offline: z.boolean() }),
  proxy: z.strictObject({ https: z.string(), http: z.string(), except: z.string() }),
  networkPolicies: z.strictObject({
    enabled: z.boolean(),
    clients: rules,
    metrics: rules,
    dns: z.strictObject({ to: rules, ports: rules }),
    hub: z.strictObject({ to: rules, ports: rules }),
    kubernetesApi: z.strictObject({ to: rules, ports: rules }),
    extraEgress: z.strictObject({ operator: rules, gateway: rules, models: rules }),
  }),
  monitoring: z.strictObject({
    monitors: z.strictObject({ ...optional, interval: z.string().regex(/^[1-9][0-9]*(s|m)$/) }),
    rules: z.strictObject(optional),
    dashboard: z.strictObject(optional),
  }),
  tracing: z.strictObject({ endpoint: url, ratio: z.string().regex(/^(0(\.[0-9]+)?|1)$/) }),
  operator: z.strictObject(process),
  gateway: z.strictObject({
    ...process,
    holdTimeoutMs: z.int().min(1000).max(3_600_000),
    managementAccess: z.enum(['Anonymous', 'Authenticated']),
    console: z.boolean(),
  }),
  gpuClasses: z.record(
    z.string().max(50).regex(namePattern),
    z.strictObject({ default: z.boolean().optional(), spec: gpuClassSpec }),
  ),
};

/** What values.yaml holds: each value, with no other beside it. */
export const chartValues = z.strictObject(shape);

type Json = Record<string, unknown>;

/** A misspelt field of a class is an error too; the API server would drop it silently. */
function adapt(schema: Json): void {
  delete schema['x-kubernetes-validations'];
  if (schema['properties'] && schema['additionalProperties'] === undefined) {
    schema['additionalProperties'] = false;
  }
}

/** Helm checks it against values.yaml with what the user gives laid over it, so defaults are never absent. */
export function valuesSchema(): Json {
  // What a chart that has this one as a part may set.
  const ofParent = { global: z.looseObject({}).optional(), enabled: z.boolean().optional() };
  return z.toJSONSchema(z.strictObject({ ...shape, ...ofParent }), {
    target: 'draft-7',
    io: 'input',
    reused: 'inline',
    override: ({ jsonSchema }) => adapt(jsonSchema as Json),
  });
}
