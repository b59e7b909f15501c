// The settings of a server process. Every limit of it stands here.
import { z } from 'zod';
import { bytes, milliseconds, port } from '../common/config.ts';
import { logLevels } from '../common/log.ts';
import { hubVariables } from './model/hub/settings.ts';
import type { Bytes } from './model/memory.ts';
import { providers } from './onnx/target.ts';

const count = (fallback: number) => z.coerce.number().int().positive().default(fallback);
const minutes = 60_000;

export const serverConfig = z.object({
  REFMODEL_PORT: port(8080).describe(
    'Port of the API, /state, health and metrics. 0 takes a free one.',
  ),
  REFMODEL_HOST: z.string().optional().describe('Address to listen on. Default: all.'),
  REFMODEL_LOG_LEVEL: z
    .enum(logLevels)
    .default('info')
    .describe('Least severe level that is logged.'),
  REFMODEL_CATALOG: z.string().describe('File with the models of this pool. Followed for changes.'),
  REFMODEL_CACHE_DIR: z
    .string()
    .default('/cache')
    .describe('Folder of downloaded and converted models.'),
  REFMODEL_CACHE_BYTES: bytes
    .optional()
    .describe(
      'Bytes of models in the cache folder at most. Default: all of its volume but 5 % or 1 GiB, the less of the two.',
    ),
  REFMODEL_MAX_MODELS: count(2).describe('Models in memory at most.'),
  REFMODEL_EXECUTION_PROVIDER: z
    .enum(providers)
    .default('CPU')
    .describe('What models compute on: CPU or CUDA.'),
  REFMODEL_MEMORY_BYTES: bytes
    .optional()
    .describe(
      "Bytes of the machine's memory that models may hold together. Default: nine tenths of what the process may use.",
    ),
  REFMODEL_DEVICE_MEMORY_BYTES: bytes
    .optional()
    .describe(
      "Bytes of the GPU's memory that models may hold together, with CUDA. Default: all that the driver tells of.",
    ),
  REFMODEL_THREADS: z.coerce
    .number()
    .int()
    .positive()
    .optional()
    .describe('Threads of a runner. Default: the processors that the process may use.'),
  REFMODEL_MAX_BODY_BYTES: bytes.default(64 * 2 ** 20).describe('Largest request body.'),
  REFMODEL_INLINE_BODY_BYTES: bytes
    .default(2 ** 18)
    .describe('JSON bodies above it are read by a thread, so that they hold up no other request.'),
  REFMODEL_BODY_THREADS: count(2).describe(
    'Threads that read large bodies and write large answers.',
  ),
  REFMODEL_WARN_DIVERGENCE: z.coerce
    .number()
    .min(0)
    .default(0.1)
    .describe(
      'Divergence of a policy from its reference, in nats per token, from which on it is warned of.',
    ),
  REFMODEL_MAX_REQUESTS: count(2048).describe('Scoring requests that wait or run at most.'),
  REFMODEL_MAX_REQUEST_BYTES: bytes
    .default(2 ** 29)
    .describe('Bytes of the bodies of scoring requests that wait or run, together at most.'),
  REFMODEL_MAX_QUEUED_ROWS: count(8192).describe('Rows that wait for one model at most.'),
  REFMODEL_MAX_QUEUED_TOKENS: count(2 ** 22).describe('Tokens that wait for one model at most.'),
  REFMODEL_MAX_TOP_LOGPROBS: count(256).describe('Most likely tokens per position at most.'),
  REFMODEL_MAX_ANSWER_VALUES: count(2 ** 24).describe(
    'Values in one answer at most: log-probs, ids, and the numbers of hidden states.',
  ),
  REFMODEL_LOAD_TIMEOUT_MS: milliseconds(1000, 24 * 60 * minutes)
    .default(30 * minutes)
    .describe('Time after which a load is given up that gets no further, in milliseconds.'),
  REFMODEL_CACHE_WAIT_MS: milliseconds(0, 60 * minutes)
    .default(minutes)
    .describe('Time that a load waits for models in use to make room, in milliseconds.'),
  REFMODEL_CATALOG_WAIT_MS: milliseconds(0, 60 * minutes)
    .default(minutes)
    .describe(
      'Time that a request of the gateway waits for its model in the catalog, in milliseconds.',
    ),
  REFMODEL_DRAIN_DELAY_MS: milliseconds(0, 10 * minutes)
    .default(5000)
    .describe('Time between unready and the end of listening, in milliseconds.'),
  REFMODEL_CLOSE_TIMEOUT_MS: milliseconds(0, 60 * minutes)
    .default(2 * minutes)
    .describe('Time that requests in flight get at the end, in milliseconds.'),
  ...hubVariables,
});
export type ServerConfig = Readonly<z.output<typeof serverConfig>>;

const hostPart = 0.9;

/** What models may hold together, of the memory that there is. */
export function memoryLimits(config: ServerConfig, there: Bytes): Bytes {
  return {
    host: config.REFMODEL_MEMORY_BYTES ?? Math.floor(there.host * hostPart),
    device: Math.min(config.REFMODEL_DEVICE_MEMORY_BYTES ?? there.device, there.device),
  };
}
