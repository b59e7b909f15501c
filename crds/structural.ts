// zod → structural OpenAPI v3 schema (Kubernetes: "Specifying a structural schema"), and the CRD around it.
import { z } from 'zod';
import { type CelRule, metadataRules } from './common.ts';
import { gpuClassSpec } from './gpu-class.ts';
import { group, referenceModelSpec, referenceModelStatus, version } from './reference-model.ts';

type Json = Record<string, unknown>;

interface Column {
  name: string;
  type: 'string' | 'integer' | 'date';
  jsonPath: string;
  description?: string;
  /** Above 0: shown by `-o wide` only. */
  priority?: number;
}

/** What zod writes and a structural schema must not hold, or holds differently. */
function adapt(schema: Json): void {
  if (schema['additionalProperties'] === false) delete schema['additionalProperties'];
  const extra = schema['additionalProperties'];
  if (extra && typeof extra === 'object' && Object.keys(extra).length === 0) {
    delete schema['additionalProperties'];
    schema['x-kubernetes-preserve-unknown-fields'] = true;
  }
  delete schema['propertyNames'];
  if (schema['format'] === 'date-time') delete schema['pattern'];
  if (schema['minimum'] === Number.MIN_SAFE_INTEGER) delete schema['minimum'];
  if (schema['maximum'] === Number.MAX_SAFE_INTEGER) delete schema['maximum'];
  if (schema['type'] === 'integer') schema['format'] = 'int64';
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Defaults of objects, written out to the last field: the API server checks CEL rules against a default as it
 * stands, before it fills in the defaults inside of it.
 */
function writeOutDefaults(schema: Json): void {
  const properties = isObject(schema['properties']) ? Object.entries(schema['properties']) : [];
  const value = schema['default'];
  for (const [name, property] of properties) {
    if (!isObject(property)) continue;
    writeOutDefaults(property);
    if (isObject(value) && !(name in value) && 'default' in property)
      value[name] = property['default'];
  }
}

export function structural(schema: z.ZodType): Json {
  const json = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    reused: 'inline',
    override: ({ jsonSchema }) => adapt(jsonSchema as Json),
  }) as Json;
  delete json['$schema'];
  writeOutDefaults(json);
  return json;
}

interface Kind {
  kind: string;
  plural: string;
  scope: 'Namespaced' | 'Cluster';
  shortNames: string[];
  categories?: string[];
  description: string;
  spec: Json;
  status?: Json;
  columns: Column[];
  rules: CelRule[];
}

function crd(kind: Kind): Json {
  const { plural, status } = kind;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: kind.scope,
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural,
        singular: kind.kind.toLowerCase(),
        shortNames: kind.shortNames,
        ...(kind.categories && { categories: kind.categories }),
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          ...(status && { subresources: { status: {} } }),
          additionalPrinterColumns: kind.columns,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description: kind.description,
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec: kind.spec,
                ...(status && { status }),
              },
              'x-kubernetes-validations': kind.rules,
            },
          },
        },
      ],
    },
  };
}

const conditionStatus = (type: string) => `.status.conditions[?(@.type=="${type}")].status`;

export const crds: Record<string, Json> = {
  referencemodels: crd({
    kind: 'ReferenceModel',
    plural: 'referencemodels',
    scope: 'Namespaced',
    shortNames: ['rfm'],
    categories: ['all'],
    description:
      'A frozen reference or reward model that trainers ask for log-probabilities or scores.',
    spec: structural(referenceModelSpec),
    status: structural(referenceModelStatus),
    rules: metadataRules,
    columns: [
      { name: 'MODEL', type: 'string', jsonPath: '.status.source' },
      { name: 'QUANTIZATION', type: 'string', jsonPath: '.spec.quantization' },
      { name: 'CLASS', type: 'string', jsonPath: '.status.gpuClass' },
      { name: 'AVAILABLE', type: 'string', jsonPath: conditionStatus('Available') },
      {
        name: 'LOADED',
        type: 'string',
        jsonPath: `.status.conditions[?(@.type=="Loaded")].reason`,
      },
      { name: 'REPLICAS', type: 'integer', jsonPath: '.status.replicas' },
      { name: 'LAST REQUEST', type: 'date', jsonPath: '.status.lastRequestTime' },
      { name: 'AGE', type: 'date', jsonPath: '.metadata.creationTimestamp' },
      { name: 'URL', type: 'string', jsonPath: '.status.url', priority: 1 },
      { name: 'REVISION', type: 'string', jsonPath: '.status.model.revision', priority: 1 },
      { name: 'MEMORY', type: 'integer', jsonPath: '.status.memory.weights', priority: 1 },
    ],
  }),
  gpuclasses: crd({
    kind: 'GPUClass',
    plural: 'gpuclasses',
    scope: 'Cluster',
    shortNames: ['gpuc'],
    description: 'What a pod of reference models gets: device, memory, node, image, cache volume.',
    spec: structural(gpuClassSpec),
    rules: metadataRules,
    columns: [
      { name: 'PROVIDER', type: 'string', jsonPath: '.spec.executionProvider' },
      { name: 'MEMORY', type: 'string', jsonPath: '.spec.memory' },
      { name: 'MODELS', type: 'integer', jsonPath: '.spec.maxModels' },
      { name: 'AGE', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
  }),
};
