// The settings of a gateway process. Every limit of it stands here.
import { z } from 'zod';
import { bytes, flag, list, milliseconds, port } from '../../common/config.ts';
import { logLevels } from '../../common/log.ts';
import { adminPort, gatewayPort } from '../pool.ts';

const minute = 60_000;
const hour = 60 * minute;

/** What a gateway does with requests, whatever runs its pods. */
export const requestSettings = {
  REFMODEL_HOLD_TIMEOUT_MS: milliseconds(0, hour)
    .default(100_000)
    .describe(
      'Time that a request waits for a pod at most, in milliseconds, for models that name none. A request shortens it with x-refmodel-hold-timeout-ms.',
    ),
  REFMODEL_HOLD_MAX_REQUESTS: z.coerce
    .number()
    .int()
    .min(0)
    .default(2000)
    .describe('Requests that wait for pods at most, over all models.'),
  REFMODEL_HOLD_MAX_BYTES: bytes
    .default(256 * 2 ** 20)
    .describe('Bytes of the bodies of requests that wait for pods at most.'),
  REFMODEL_WORK_TIMEOUT_MS: milliseconds(1, 24 * hour)
    .default(30 * minute)
    .describe(
      'Time that a pod gets for one request, the load of the model included, in milliseconds.',
    ),
  REFMODEL_CONNECT_TIMEOUT_MS: milliseconds(1, minute)
    .default(3000)
    .describe('Time that a connection to a pod may take to open, in milliseconds.'),
  REFMODEL_MAX_BODY_BYTES: bytes
    .default(64 * 2 ** 20)
    .describe(
      'Largest request body. It is kept until the answer begins, so that it can be sent again.',
    ),
};

export const gatewayConfig = z.object({
  REFMODEL_NAMESPACE: z
    .string()
    .describe('Namespace of the gateways, where the leases of runs are kept.'),
  REFMODEL_PORT: port(gatewayPort).describe('Port of the API.'),
  REFMODEL_ADMIN_PORT: port(adminPort).describe('Port of /demand, /console, health and metrics.'),
  REFMODEL_CONSOLE: flag
    .default(true)
    .describe('Show the console, a page that only reads, on the admin port.'),
  REFMODEL_LOG_LEVEL: z
    .enum(logLevels)
    .default('info')
    .describe('Least severe level that is logged.'),
  REFMODEL_NAMESPACES: list
    .optional()
    .describe('Namespaces whose models are served, separated by commas. Default: all.'),
  REFMODEL_MANAGEMENT_ACCESS: z
    .enum(['Anonymous', 'Authenticated'])
    .default('Anonymous')
    .describe(
      'Who may take leases on models with access Anonymous, and load or drop them: everybody, or ServiceAccounts with that right.',
    ),
  ...requestSettings,
  REFMODEL_DRAIN_DELAY_MS: milliseconds(0, 10 * minute)
    .default(5000)
    .describe('Time between unready and the end of listening, in milliseconds.'),
  REFMODEL_DRAIN_TIMEOUT_MS: milliseconds(0, hour)
    .default(2 * minute)
    .describe(
      'Time that held and running requests then get before they are answered SHUTTING_DOWN, in milliseconds.',
    ),
});
export type GatewayConfig = Readonly<z.output<typeof gatewayConfig>>;

export interface RequestSettings {
  holdTimeoutMs: number;
  holdMaxRequests: number;
  holdMaxBytes: number;
  workTimeoutMs: number;
  connectTimeoutMs: number;
  maxBodyBytes: number;
}

const requestSchema = z.object(requestSettings);

export const requestSettingsOf = (config: z.output<typeof requestSchema>): RequestSettings => ({
  holdTimeoutMs: config.REFMODEL_HOLD_TIMEOUT_MS,
  holdMaxRequests: config.REFMODEL_HOLD_MAX_REQUESTS,
  holdMaxBytes: config.REFMODEL_HOLD_MAX_BYTES,
  workTimeoutMs: config.REFMODEL_WORK_TIMEOUT_MS,
  connectTimeoutMs: config.REFMODEL_CONNECT_TIMEOUT_MS,
  maxBodyBytes: config.REFMODEL_MAX_BODY_BYTES,
});
