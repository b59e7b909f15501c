// The one error type and the one table of codes. A code decides the HTTP status and whether the same
// request may succeed later; nothing else does. docs/errors.md is generated from this table.

interface ErrorKind {
  status: number;
  /** True when the same request may succeed later: answered with Retry-After. */
  isRetryable: boolean;
  cause: string;
  remedy: string;
}

const mistake = (status: number, cause: string, remedy: string): ErrorKind => ({
  status,
  isRetryable: false,
  cause,
  remedy,
});
const later = (cause: string, remedy: string): ErrorKind => ({
  status: 503,
  isRetryable: true,
  cause,
  remedy,
});
const broken = (cause: string, remedy: string): ErrorKind => ({
  status: 500,
  isRetryable: false,
  cause,
  remedy,
});

export const errorKinds = {
  // The caller's own mistakes.
  INVALID_REQUEST: mistake(
    400,
    'a field is missing or has the wrong shape',
    'correct the field that the message names',
  ),
  MALFORMED_JSON: mistake(
    400,
    'the body is not JSON',
    'send a JSON object with Content-Type: application/json',
  ),
  MALFORMED_BODY: mistake(
    400,
    'a binary body is cut short, or its header does not describe it',
    'write it with the library of its format, and send the header length that the message asks for',
  ),
  EMPTY_BATCH: mistake(
    400,
    'there is no row, or a row without tokens',
    'send at least one row with at least one token',
  ),
  TOKEN_OUT_OF_RANGE: mistake(
    400,
    'a token id is outside the vocabulary of the model',
    "tokenize with the model's own tokenizer",
  ),
  SEQUENCE_TOO_LONG: mistake(
    400,
    'a row is longer than the model or spec.limits.maxSequenceTokens allows',
    'shorten the row or raise the limit',
  ),
  TASK_MISMATCH: mistake(
    400,
    'a reward model is asked for log-probabilities, or a language model for rewards',
    'use the route that the message names',
  ),
  TOKENIZER_UNAVAILABLE: mistake(
    400,
    'text is sent to, or asked of, a model whose checkpoint has no tokenizer.json that can be read',
    'send token ids, or add the file to the checkpoint',
  ),
  CHAT_TEMPLATE_FAILED: mistake(
    400,
    'the model has no chat template, or its template refuses the messages',
    'correct what the message says, or send the text that the model is to see',
  ),
  AMBIGUOUS_MODEL: mistake(
    400,
    'the request names no model, or a name that stands in several namespaces',
    'name the model as "namespace/name"',
  ),
  UNAUTHENTICATED: mistake(
    401,
    'the model has `access: Authenticated`, and the request has no token, or none that is valid for refmodel',
    'send `Authorization: Bearer` with a token from kubectl create token NAME --audience refmodel, or from a projected volume',
  ),
  FORBIDDEN: mistake(
    403,
    'the caller may not do that with the model',
    "bind the ClusterRole refmodel-scorer, or refmodel-manager for cache and leases, to the ServiceAccount in the model's namespace",
  ),
  MODEL_NOT_FOUND: mistake(
    404,
    'no ReferenceModel has that name',
    'check the name with kubectl get rfm -A',
  ),
  ROUTE_NOT_FOUND: mistake(404, 'no such route', 'see docs/api.md'),
  NOT_CACHED: mistake(
    404,
    'the model is not in the cache of this pod',
    'PUT /cache/<model> loads it',
  ),
  METHOD_NOT_ALLOWED: mistake(
    405,
    'the route exists, but not with this method',
    'see the Allow header',
  ),
  REVISION_MISMATCH: mistake(
    409,
    'the request pins a revision that is not the loaded one',
    'pin the revision that the message names, or none',
  ),
  TOKENIZER_MISMATCH: mistake(
    409,
    'the request pins a tokenizer that is not the one of the loaded model',
    'tokenize with the tokenizer.json of the checkpoint; the message has both digests',
  ),
  BODY_TOO_LARGE: mistake(413, 'the body is larger than the limit', 'send fewer rows per request'),
  UNSUPPORTED_MEDIA_TYPE: mistake(
    415,
    'the content type or encoding is not supported',
    'send application/json',
  ),

  // Not now; the same request may succeed later.
  QUEUE_FULL: later('too many requests wait already', 'retry after the time in Retry-After'),
  WAKE_TIMEOUT: later(
    'no pod became ready within the hold budget',
    'retry: the wake goes on; kubectl describe rfm says what it waits for',
  ),
  WORK_TIMEOUT: later(
    'the pod did not answer within the work budget',
    'send smaller batches, or raise REFMODEL_WORK_TIMEOUT_MS of the gateway',
  ),
  UPSTREAM_FAILED: later(
    'the pod broke off before it answered, twice',
    'retry; the pod log says why',
  ),
  MODEL_NOT_ACCEPTED: later(
    'the ReferenceModel is invalid or its GPUClass is missing',
    'correct the object; its Accepted condition says what is wrong',
  ),
  CATALOG_STALE: later(
    'the pod has not seen this model in its catalog yet',
    'retry in a few seconds',
  ),
  RUNNER_DIED: later(
    'the process that held the model ended during the request',
    'retry; if it happens again the model needs more memory than the class gives',
  ),
  TEXT_FAILED: later(
    'the thread that reads and writes the texts of the model ended, or took too long',
    'retry; if it happens again, send token ids or shorter texts',
  ),
  OUT_OF_DEVICE_MEMORY: later(
    'the GPU had no memory left for the load of a model, or for a single row',
    'retry; if it happens again send shorter rows, lower spec.limits.maxBatchTokens, or use a larger class',
  ),
  CACHE_FULL: later(
    'every model in the cache is in use, none can make room',
    'retry, or raise maxModels or memory of the GPUClass',
  ),
  LOAD_TIMEOUT: later(
    'the load of the model got no further within the time limit',
    'retry; if it happens again look at the storage of the weights',
  ),
  HUB_RATE_LIMITED: later(
    'the Hugging Face hub limits how often it is asked',
    'wait as long as the message says; a token raises the limit',
  ),
  HUB_UNREACHABLE: later(
    'the Hugging Face hub cannot be reached, or the connection was cut again and again',
    'retry: what was transferred stays; check HF_ENDPOINT, the proxies and the network',
  ),
  ACCESS_UNKNOWN: later(
    'the Kubernetes API did not say what the caller may do',
    'retry; if it happens again look at the API server, and at the rights of the ServiceAccount of the gateways',
  ),
  LEASE_NOT_KEPT: later(
    'the lease of a run could not be stored: the Kubernetes API failed, or a thousand runs have one',
    'retry; GET /v1/leases lists those that there are',
  ),
  NOT_READY: later('the process has not finished starting', 'retry'),
  SHUTTING_DOWN: later('the process is ending', 'retry: another pod answers'),

  // The model cannot be served as it is.
  UNSUPPORTED_ARCHITECTURE: broken(
    'the architecture or a setting of config.json is not supported',
    'use one of the architectures that the message lists',
  ),
  UNSUPPORTED_TASK: broken(
    'the checkpoint cannot do the task that is asked',
    'change spec.task or the model',
  ),
  UNSUPPORTED_QUANTIZATION: broken(
    'the checkpoint is quantized itself',
    'name the unquantized checkpoint, and let spec.quantization convert it',
  ),
  MODEL_FILES_MISSING: broken(
    'the folder lacks config.json or safetensors files, or they cannot be read',
    'check the repository, or the claim, the path of spec.model and the permissions of its files',
  ),
  HUB_UNAUTHORIZED: broken(
    'the Hugging Face hub wants a token, or does not accept the one it got',
    'name a Secret with a valid token in tokenSecretRef, or set HF_TOKEN on one machine',
  ),
  HUB_FORBIDDEN: broken(
    'the repository is gated, and the account of the token has no access',
    'accept its terms on the hub with that account',
  ),
  HUB_REPO_NOT_FOUND: broken(
    'the hub has no such repository, or hides it from this token',
    'check spec.model.huggingFace.repo; a private one needs a token',
  ),
  HUB_REVISION_NOT_FOUND: broken(
    'the repository has no such branch, tag or commit',
    'correct spec.model.huggingFace.revision',
  ),
  HUB_OFFLINE: broken(
    'HF_HUB_OFFLINE is set, and the cache lacks the model or a part of it',
    'fill the cache, or unset HF_HUB_OFFLINE',
  ),
  HUB_ANSWER_INVALID: broken(
    'what answers at HF_ENDPOINT is not the hub: a mirror, or the login page of a proxy',
    'check HF_ENDPOINT and the proxies',
  ),
  DOWNLOAD_CORRUPT: broken(
    'a downloaded file has another size or checksum than the hub tells, twice',
    'look for a proxy or mirror in between that changes it',
  ),
  CONFIG_INVALID: broken('config.json is not valid', 'restore the file from its source'),
  WEIGHTS_CORRUPT: broken(
    'a safetensors file is cut short or its header is wrong',
    'copy the file again and compare its size and SHA-256',
  ),
  TENSOR_MISSING: broken(
    'the checkpoint lacks a tensor that its architecture needs',
    'check that every shard is there',
  ),
  PATH_ESCAPES_VOLUME: broken(
    'the path leads out of the volume',
    'use a relative path without ".." and without links to the outside',
  ),
  MODEL_TOO_LARGE: broken(
    'the model needs more memory than the GPUClass has',
    'use a stronger quantization or a larger class',
  ),
  OUT_OF_MEMORY: broken(
    'memory ran out while the model was loading',
    'use a stronger quantization or a larger class',
  ),
  DISK_FULL: broken(
    'the cache volume has no room for the model',
    'enlarge the cache of the GPUClass or free space',
  ),
  LOAD_FAILED: broken(
    'the runtime could not load the model',
    'the message and the pod log carry its reason',
  ),
  PROVIDER_UNSOUND: broken(
    'the execution provider computes wrongly on this machine: a layer of known numbers came out differently',
    'take the node out of service; its driver, its GPU or the provider is broken',
  ),
  PROVIDER_UNAVAILABLE: broken(
    'the execution provider of the GPUClass cannot be used here: a library or the GPU is missing, or is not what it needs',
    'the message names what is wanted; use the CUDA image and a node with a GPU of compute capability 8.0 or more',
  ),
  FIDELITY_TOO_LOW: broken(
    'the converted model is further from its checkpoint than spec.fidelity.maxKL allows, or computes no numbers',
    'choose a weaker quantization, or raise maxKL',
  ),
  SCORE_FAILED: broken(
    'the runtime refused a pass over the model',
    'the message has its reason; report it with the request id',
  ),
  SCORE_NOT_A_NUMBER: broken(
    'the model computed a value that is not a number',
    'check the weights against their source, and try quantization None',
  ),

  // Ours.
  MANIFEST_INVALID: broken(
    'a manifest does not parse or has an invalid field',
    'correct the field that the message names',
  ),
  CONFIGURATION_INVALID: broken(
    'a setting of the process is invalid',
    'correct the variable or flag that the message names',
  ),
  USAGE: mistake(
    400,
    'a command was given an argument or an option that it does not take, or lacks one',
    'the message names it; the command with --help lists them',
  ),
  NAME_TAKEN: broken(
    'an object of that name exists and is not ours',
    'rename the model or the object',
  ),
  KUBERNETES_API: broken('the Kubernetes API refused or failed', 'the message carries its reason'),
  INTERNAL: broken('a defect of refmodel', 'report it with the request id'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

/** The only error that crosses a boundary. Message: `doing X: what was wrong, "value"`, lower case. */
export class AppError extends Error {
  readonly code: ErrorCode;
  /** Seconds for the Retry-After header; only read for retryable codes. */
  readonly retryAfterSeconds: number;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; retryAfterSeconds?: number } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds ?? 1;
  }

  get status(): number {
    return errorKinds[this.code].status;
  }

  get isRetryable(): boolean {
    return errorKinds[this.code].isRetryable;
  }
}

export const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(errorKinds, code);

/** Any thrown thing as an AppError; what is not one of ours is INTERNAL with the original as cause. */
export function toAppError(err: unknown): AppError {
  if (err instanceof AppError) return err;
  const message = err instanceof Error ? err.message : String(err);
  return new AppError('INTERNAL', message, { cause: err });
}

/** The body of every error answer, in the shape that OpenAI clients read. */
export interface ErrorBody {
  error: { code: ErrorCode; message: string; type: string; request_id?: string };
}

export function errorBody(err: AppError, requestId?: string): ErrorBody {
  const type = err.status < 500 ? 'invalid_request_error' : 'server_error';
  const message = err.code === 'INTERNAL' ? 'internal error' : err.message;
  return { error: { code: err.code, message, type, ...(requestId && { request_id: requestId }) } };
}

/** How an error is written for the clients of a path. */
export type ErrorShape = (err: AppError, requestId: string | undefined, path: string) => object;
