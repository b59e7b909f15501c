// What the server reads and reports at its boundary, as schemas: the catalog of models that a pool serves,
// and the state of one pod. Whoever runs servers (the operator, the local backend) imports this file.
import { z } from 'zod';
import { type ErrorShape, errorBody } from '../common/errors.ts';
import { numberTypes } from './model/target.ts';

/** Headers between gateway and server. The gateway drops what a client sends under these names. */
export const modelHeader = 'x-refmodel-model';
/** Whose request it is: a client may say so, else the gateway writes its address. The requests of one take turns as one. */
export const callerHeader = 'x-refmodel-run';
/** Set on every answer of a loaded model. */
export const identityHeaders = {
  revision: 'x-refmodel-revision',
  digest: 'x-refmodel-digest',
  quantization: 'x-refmodel-quantization',
} as const;

/** Formats of bodies and of answers. */
export const mediaTypes = {
  json: 'application/json',
  safetensors: 'application/x-safetensors',
  oip: 'application/octet-stream',
} as const;
/** Of a body of the Open Inference Protocol with binary tensors: bytes of its JSON header. */
export const headerLengthHeader = 'inference-header-content-length';

/**
 * What gateway and pod answer alike to a `GET`, whatever sleeps: clients probe these before they start, and give up
 * when they have to wait. Texts are plain, the rest is JSON.
 */
export function standingAnswer(path: string): string | object | undefined {
  const name = path.endsWith('/') ? path.slice(0, -1) : path;
  return Object.hasOwn(standingAnswers, name) ? standingAnswers[name] : undefined;
}

const standingAnswers: Readonly<Record<string, string | object>> = {
  '/health': 'ok\n',
  '/health_generate': 'ok\n',
  '/get_world_size': { world_size: 1 },
  '/v2': { name: 'refmodel', version: '1', extensions: ['binary_tensor_data'] },
  '/v2/health/live': { live: true },
  '/v2/health/ready': { ready: true },
};

export const standingPaths = Object.keys(standingAnswers);

/** A path of the Open Inference Protocol that names a model: `/v2/models/<name>[/versions/<v>][/ready|/infer]`. */
export function readInferencePath(path: string) {
  const match = /^\/v2\/models\/(.+?)(?:\/versions\/([^/]+))?(?:\/(ready|infer))?\/?$/.exec(path);
  if (!match) return undefined;
  const [, name = '', version, verb] = match;
  return { name: decodeOr(name), version, verb };
}

function decodeOr(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no model has such a name
  }
}

/** In the shape that the clients of a path read: those of the Open Inference Protocol take a text. */
export const errorShape: ErrorShape = (err, requestId, path) => {
  const body = errorBody(err, requestId);
  return /\/v2(\/|$)/.test(path) ? { error: body.error.message, code: body.error.code } : body;
};

export const catalogModel = z.object({
  /** "<namespace>/<name>": unique in the cluster, and the key everywhere in the server. */
  name: z.string().regex(/^[^/]+\/[^/]+$/),
  /** Exactly one source. `root` is the mounted volume, `path` a folder inside it. */
  source: z.object({
    volume: z.object({ root: z.string(), path: z.string() }).optional(),
    huggingFace: z
      .object({
        repo: z.string(),
        revision: z.string(),
        /** What `revision` was resolved to before: it does not move while the spec is the same. */
        commit: z.string().optional(),
        /** File with the access token. Default: HF_TOKEN. */
        tokenFile: z.string().optional(),
      })
      .optional(),
  }),
  task: z.enum(['LogProbs', 'Reward']).optional(),
  quantization: z.enum(['None', 'Int8', 'Int4', 'NF4']),
  /** Numbers that it computes with on a GPU. Default: those of the checkpoint, BFloat16 for Float32. */
  dtype: z.enum(numberTypes).optional(),
  preload: z.boolean(),
  maxSequenceTokens: z.int().positive(),
  maxBatchTokens: z.int().positive(),
  /** A converted model whose mean KL divergence from its checkpoint is larger is not served. */
  maxKL: z.number().min(0).optional(),
});
export type CatalogModel = z.output<typeof catalogModel>;

/** What a commit is resolved from. */
export const hubReference = ({ repo, revision }: { repo: string; revision: string }): string =>
  `${repo}@${revision}`;

/** The file that REFMODEL_CATALOG names. Replaced whole; the server follows it. */
export const catalog = z.object({ models: z.array(catalogModel) });
export type Catalog = z.output<typeof catalog>;

/** Those before Loaded are phases of a load. */
export const residencies = ['Downloading', 'Converting', 'Loading', 'Loaded', 'Failed'] as const;

export const modelState = z.object({
  name: z.string(),
  residency: z.enum(residencies),
  /** Requests queued or running on it now. */
  inFlight: z.int().min(0),
  /** ISO time of the last request, or of the load. */
  lastUsed: z.string(),
  /** Set once loaded. */
  identity: z
    .object({
      revision: z.string(),
      /** For a model of the hub, whose revision is a commit: `hubReference` of its source. */
      resolvedFrom: z.string().optional(),
      digest: z.string(),
      architecture: z.string(),
      quantization: z.string(),
      task: z.enum(['LogProbs', 'Reward']),
      parameters: z.int(),
      contextTokens: z.int(),
    })
    .optional(),
  /**
   * How far a converted model is from its checkpoint: mean KL divergence in nats, mean and largest difference of
   * log-probabilities; of the scores of a reward model, which have no divergence.
   */
  fidelity: z
    .object({
      kl: z.number().optional(),
      meanAbsDelta: z.number(),
      maxAbsDelta: z.number(),
      tokens: z.int(),
    })
    .optional(),
  /** How far the policy of the last batch was from it, in nats per token: estimators k1 and k3. */
  policy: z.object({ k1: z.number(), k3: z.number(), tokens: z.int() }).optional(),
  /** Bytes of the weights as loaded. */
  weightBytes: z.int().optional(),
  /** Bytes that it takes, as measured. */
  memory: z.object({ host: z.int(), device: z.int() }).optional(),
  /** Of the phase that its residency names, while bytes of it are counted. */
  progress: z.object({ bytes: z.int(), totalBytes: z.int() }).optional(),
  /** Seconds of the phases of the load. */
  seconds: z.object({ download: z.number(), convert: z.number(), load: z.number() }).optional(),
  /** Set while residency is Failed. */
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});
export type ModelState = z.output<typeof modelState>;

export const isLoading = ({ residency }: Pick<ModelState, 'residency'>): boolean =>
  residency !== 'Loaded' && residency !== 'Failed';

/** `GET /state`: one pod, most recently used model first. `GET /state?watch=1` streams one JSON line per change. */
export const serverState = z.object({
  models: z.array(modelState),
  maxModels: z.int(),
  /** Bytes that models may take together; of the device only where it has memory of its own. */
  limits: z.object({ host: z.int(), device: z.int().optional() }).optional(),
  isDraining: z.boolean(),
});
export type ServerState = z.output<typeof serverState>;

/** What a server process tells the parent that forked it, once it listens. */
export interface ServerListening {
  port: number;
}
