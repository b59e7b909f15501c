// ReferenceModel: spec and status in zod, the one definition. The CRD's YAML is generated from it.
import { z } from 'zod';
import {
  checked,
  condition,
  duration,
  maxNameLength,
  namePattern,
  quantity,
  ruledMeta,
} from './common.ts';

export const group = 'refmodel.dev';
export const version = 'v1alpha1';
export const apiVersion = `${group}/${version}`;

export const tasks = ['LogProbs', 'Reward'] as const;
export const quantizations = ['None', 'Int8', 'Int4', 'NF4'] as const;
/** Numbers that a GPU computes with. */
export const numberTypes = ['Float32', 'BFloat16', 'Float16'] as const;
export type Task = (typeof tasks)[number];
export type Quantization = (typeof quantizations)[number];

/** Token ids, as JSON, that `refmodel local` puts into the curl line it prints for the model. */
export const sampleAnnotation = `${group}/sample-input-ids`;

/** Name of a claim or Secret: RFC 1123. */
const name = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/);

const huggingFace = z.object({
  repo: z
    .string()
    .max(200)
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*\/[A-Za-z0-9_][A-Za-z0-9_.-]*$/)
    .describe('Repository on the hub, "owner/name".'),
  revision: z
    .string()
    .min(1)
    .max(200)
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.+/-]*$/)
    .default('main')
    .describe(
      'Branch, tag or commit. Resolved to a commit at the first load, and kept until the spec changes.',
    ),
  tokenSecretRef: z
    .object({
      name: name.describe('Name of the Secret.'),
      key: z
        .string()
        .max(253)
        .regex(/^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/)
        .default('token')
        .describe('Key in the Secret that holds the token.'),
    })
    .optional()
    .describe('Secret in the same namespace that holds the access token of a gated repository.'),
});

const persistentVolumeClaim = z.object({
  claimName: name.describe('Claim in the same namespace. Mounted read-only, used in place.'),
  path: checked(
    z.string().max(512).default(''),
    (path) => !path.startsWith('/') && !path.split('/').includes('..') && !path.includes('\0'),
    {
      rule: "!self.startsWith('/') && !self.split('/').exists(part, part == '..')",
      message: 'path must be relative and must not contain ".."',
      reason: 'FieldValueInvalid',
    },
  ).describe('Folder of the model inside the volume, relative. Default: its root.'),
});

const model = checked(
  z.object({
    huggingFace: huggingFace.optional().describe('Weights from the Hugging Face hub.'),
    persistentVolumeClaim: persistentVolumeClaim
      .optional()
      .describe('Weights that lie on a volume already.'),
  }),
  (source) => Object.values(source).filter((value) => value !== undefined).length === 1,
  {
    rule: '[has(self.huggingFace), has(self.persistentVolumeClaim)].filter(x, x).size() == 1',
    message: 'spec.model needs exactly one source: huggingFace or persistentVolumeClaim',
    reason: 'FieldValueInvalid',
  },
).describe('Where the weights come from: exactly one source.');

const scaling = checked(
  z.object({
    minReplicas: z
      .int()
      .min(0)
      .max(1000)
      .default(0)
      .describe('Pods that stay when nobody asks. 0: none, and the next request starts one.'),
    maxReplicas: z.int().min(1).max(1000).default(1).describe('Pods at most, however many ask.'),
    idleTimeout: duration
      .default('20m')
      .describe('Time without a request after which pods go, for instance "90s" or "1h30m".'),
    concurrency: z
      .int()
      .min(1)
      .max(10_000)
      .default(20)
      .describe('Requests per pod, in flight and held, above which a pod is added.'),
  }),
  (value) => value.minReplicas <= value.maxReplicas,
  {
    // With has(), since the API server also checks the default {} before it fills in the inner defaults.
    rule: '!has(self.minReplicas) || self.minReplicas <= (has(self.maxReplicas) ? self.maxReplicas : 1)',
    message: 'spec.scaling.minReplicas must not be larger than maxReplicas',
    fieldPath: '.minReplicas',
    reason: 'FieldValueInvalid',
  },
);

const limits = z.object({
  maxSequenceTokens: z
    .int()
    .min(1)
    .max(1_048_576)
    .default(8192)
    .describe('Longest row accepted, in tokens. The context of the model also bounds it.'),
  maxBatchTokens: z
    .int()
    .min(1)
    .max(4_194_304)
    .default(16384)
    .describe('Tokens of one pass over the model, padding included.'),
});

const hold = z.object({
  timeout: duration
    .optional()
    .describe(
      'Time that a request waits for a pod at most, for instance "5m"; then it is answered 503 with Retry-After. Default: gateway.holdTimeoutMs of the chart.',
    ),
  maxRequests: z
    .int()
    .min(1)
    .max(100_000)
    .default(1000)
    .describe('Requests that wait at most, in each gateway.'),
  maxBytes: quantity.default('128Mi').describe('Bytes of their bodies at most, in each gateway.'),
});

export const referenceModelSpec = z
  .object({
    model,
    task: z
      .enum(tasks)
      .optional()
      .describe(
        "LogProbs of a language model, or the Reward of a reward model. Default: what the checkpoint's config.json says.",
      ),
    quantization: z
      .enum(quantizations)
      .default('Int8')
      .describe(
        'Precision of the weights in memory: None keeps that of the checkpoint, Int8 takes about half of it, Int4 and NF4 about a quarter.',
      ),
    dtype: z
      .enum(numberTypes)
      .optional()
      .describe(
        "Numbers that the model computes with on a GPU; a CPU computes in Float32. Default: the checkpoint's own, BFloat16 for a Float32 checkpoint.",
      ),
    gpuClass: z
      .string()
      .max(maxNameLength)
      .regex(namePattern)
      .optional()
      .describe('GPUClass to run on. Default: the class annotated refmodel.dev/is-default-class.'),
    placement: z
      .enum(['Shared', 'Dedicated'])
      .default('Shared')
      .describe(
        'Shared: in pods with the other models of this namespace and class. Dedicated: in pods of its own.',
      ),
    preload: z
      .boolean()
      .default(false)
      .describe('Load the model when a pod starts, not at the first request, and evict it last.'),
    scaling: scaling.prefault({}).describe('How many pods run, and for how long.'),
    limits: limits
      .prefault({})
      .describe('How long a row, and how large a pass over the model may be.'),
    hold: hold
      .prefault({})
      .describe('How many requests may wait while no pod is ready, and for how long.'),
    fidelity: z
      .object({
        maxKL: z
          .string()
          .max(32)
          .regex(/^[0-9]+(\.[0-9]+)?([eE]-?[0-9]+)?$/)
          .describe(
            'Largest mean KL divergence from the unquantized weights, in nats per token, for instance "0.01". Beyond it the load fails with FidelityTooLow.',
          ),
      })
      .optional()
      .describe('Refuse a quantized model that differs too much from the unquantized one.'),
    access: z
      .enum(['Anonymous', 'Authenticated'])
      .default('Anonymous')
      .describe(
        'Who may use the model: everybody who reaches the gateways, or ServiceAccounts with the right to create referencemodels/score in its namespace.',
      ),
  })
  .describe('The model, how its weights are held, and how it is served.');
export type ReferenceModelSpec = z.output<typeof referenceModelSpec>;

export const conditionTypes = ['Accepted', 'Available', 'Loaded', 'Degraded'] as const;
export type ConditionType = (typeof conditionTypes)[number];

const text = z.string().max(1024);

export const referenceModelStatus = z
  .object({
    observedGeneration: z.int().min(0).optional(),
    url: text.optional().describe('Address inside the cluster.'),
    source: text.optional().describe('Where the weights come from, in one word.'),
    gpuClass: text.optional().describe('The class in use, named or default.'),
    outgrown: z
      .object({ gpuClass: text, memory: quantity, observedGeneration: z.int().min(0) })
      .optional()
      .describe('The largest class of which a pod said that the model can never fit.'),
    replicas: z.int().min(0).optional().describe('Ready pods of its pool.'),
    loadedOn: z.array(text).max(1000).optional().describe('Pods that hold the model.'),
    model: z
      .object({
        revision: text.optional().describe('Commit of the hub, or the first part of the digest.'),
        resolvedFrom: text
          .optional()
          .describe('Repository and revision of the spec that the commit was found for.'),
        digest: text.optional(),
        architecture: text.optional(),
        parameters: z.int().min(0).optional(),
        contextTokens: z.int().min(0).optional(),
        task: z.enum(tasks).optional(),
      })
      .optional()
      .describe('Identity, read from the checkpoint.'),
    memory: z
      .object({ weights: z.int().min(0).optional(), device: z.int().min(0).optional() })
      .optional()
      .describe('Bytes.'),
    fidelity: z
      .object({ kl: text.optional(), meanAbsDelta: text.optional(), tokens: z.int().optional() })
      .optional(),
    lastRequestTime: z.iso.datetime({ offset: true }).optional(),
    coldStart: z
      .object({
        schedule: text.optional(),
        image: text.optional(),
        download: text.optional(),
        convert: text.optional(),
        load: text.optional(),
        total: text.optional(),
      })
      .optional()
      .describe('Phases of the last cold start, seconds.'),
    conditions: z
      .array(condition)
      .max(16)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] }),
  })
  .describe('What the operator knows of it.');
export type ReferenceModelStatus = z.output<typeof referenceModelStatus>;

/** An object as a person or the API server gives it; unknown fields are dropped, defaults filled in. */
export const referenceModel = z.object({
  apiVersion: z.literal(apiVersion),
  kind: z.literal('ReferenceModel'),
  metadata: ruledMeta,
  spec: referenceModelSpec,
  status: referenceModelStatus.optional().catch(undefined),
});
export type ReferenceModel = z.output<typeof referenceModel>;
