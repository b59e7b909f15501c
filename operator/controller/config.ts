// The settings of an operator process.
import { z } from 'zod';
import { flag, list, milliseconds, port } from '../../common/config.ts';
import { logLevels } from '../../common/log.ts';
import { adminPort } from '../pool.ts';
import type { PodSettings } from './resources/pool-plan.ts';

const minute = 60_000;
const handedOn = (name: string) =>
  z.string().optional().describe(`${name} of the server pods. Default: not set.`);

export const controllerConfig = z.object({
  REFMODEL_NAMESPACE: z.string().describe('Namespace of the operator, its Lease and the gateways.'),
  REFMODEL_POD_NAME: z
    .string()
    .describe('Name of this process among those that compete to lead: the name of its pod.'),
  REFMODEL_SERVER_IMAGE: z
    .string()
    .describe('Image of the server pods, for classes that name none of their own.'),
  REFMODEL_SERVER_CUDA_IMAGE: z
    .string()
    .optional()
    .describe('The same for classes that compute on CUDA. Default: the image of the others.'),
  REFMODEL_IMAGE_PULL_POLICY: z
    .enum(['Always', 'IfNotPresent', 'Never'])
    .default('IfNotPresent')
    .describe('When the image of a server pod is pulled.'),
  REFMODEL_IMAGE_PULL_SECRETS: list
    .optional()
    .describe(
      'Names of Secrets with the credentials of registries, separated by commas, that server pods name. Each namespace of models needs its own. Default: none.',
    ),
  REFMODEL_HF_ENDPOINT: handedOn('HF_ENDPOINT'),
  REFMODEL_HF_HUB_OFFLINE: handedOn('HF_HUB_OFFLINE'),
  REFMODEL_HTTPS_PROXY: handedOn('HTTPS_PROXY'),
  REFMODEL_HTTP_PROXY: handedOn('HTTP_PROXY'),
  REFMODEL_NO_PROXY: handedOn('NO_PROXY'),
  REFMODEL_OTEL_EXPORTER_OTLP_ENDPOINT: handedOn('OTEL_EXPORTER_OTLP_ENDPOINT'),
  REFMODEL_OTEL_TRACES_SAMPLER: handedOn('OTEL_TRACES_SAMPLER'),
  REFMODEL_OTEL_TRACES_SAMPLER_ARG: handedOn('OTEL_TRACES_SAMPLER_ARG'),
  REFMODEL_CLASSES: z
    .string()
    .optional()
    .describe('YAML file of the GPUClasses that the operator applies at its start. Default: none.'),
  REFMODEL_POOL_TRAFFIC: z
    .string()
    .optional()
    .describe(
      'YAML file with the rules, `ingress` and `egress`, of the NetworkPolicy of server pods. Default: no NetworkPolicy.',
    ),
  REFMODEL_CLUSTER_DOMAIN: z
    .string()
    .default('cluster.local')
    .describe("The cluster's DNS domain."),
  REFMODEL_GATEWAY_SERVICE: z
    .string()
    .default('refmodel-gateway')
    .describe('Service of the gateways that the address of every model leads to.'),
  REFMODEL_GATEWAY_ADMIN_SERVICE: z
    .string()
    .default('refmodel-gateway-admin')
    .describe('Service by whose EndpointSlices the gateways are found that report demand.'),
  REFMODEL_NAMESPACES: list
    .optional()
    .describe('Namespaces whose models are served, separated by commas. Default: all.'),
  REFMODEL_LEADER_ELECTION: flag
    .default(true)
    .describe('Wait for the Lease before working. Off: this process must be the only one.'),
  REFMODEL_LEASE_MS: milliseconds(2000, 10 * minute)
    .multipleOf(1000)
    .default(15_000)
    .describe('Time after which a Lease that is not renewed is free, in milliseconds.'),
  REFMODEL_LEASE_RENEW_DEADLINE_MS: milliseconds(1000, 10 * minute)
    .default(10_000)
    .describe('Time without a renewal after which the leader stops working, in milliseconds.'),
  REFMODEL_LEASE_RETRY_MS: milliseconds(100, minute)
    .default(2000)
    .describe('Time between two looks at the Lease, in milliseconds.'),
  REFMODEL_WORKERS: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .default(8)
    .describe('Pools, and models, that are worked on at the same time.'),
  REFMODEL_API_TIMEOUT_MS: milliseconds(100, 5 * minute)
    .default(10_000)
    .describe('Time that a call to the Kubernetes API may take, in milliseconds.'),
  REFMODEL_DEMAND_INTERVAL_MS: milliseconds(100, minute)
    .default(1000)
    .describe('Time between two looks at what the gateways report, in milliseconds.'),
  REFMODEL_ADMIN_PORT: port(adminPort).describe('Port of health and metrics.'),
  REFMODEL_LOG_LEVEL: z
    .enum(logLevels)
    .default('info')
    .describe('Least severe level that is logged, by the server pods too.'),
});
export type ControllerConfig = Readonly<z.output<typeof controllerConfig>>;

/** Of the server pods whose class names none. */
export function serverImages(config: ControllerConfig): PodSettings['images'] {
  const image = config.REFMODEL_SERVER_IMAGE;
  return { CPU: image, CUDA: config.REFMODEL_SERVER_CUDA_IMAGE ?? image, WebGPU: image };
}

/** What every server pod gets besides the settings of its class. */
export function serverEnvironment(config: ControllerConfig): Record<string, string> {
  const values = {
    HF_ENDPOINT: config.REFMODEL_HF_ENDPOINT,
    HF_HUB_OFFLINE: config.REFMODEL_HF_HUB_OFFLINE,
    HTTPS_PROXY: config.REFMODEL_HTTPS_PROXY,
    HTTP_PROXY: config.REFMODEL_HTTP_PROXY,
    NO_PROXY: config.REFMODEL_NO_PROXY,
    REFMODEL_LOG_LEVEL: config.REFMODEL_LOG_LEVEL,
    OTEL_EXPORTER_OTLP_ENDPOINT: config.REFMODEL_OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_TRACES_SAMPLER: config.REFMODEL_OTEL_TRACES_SAMPLER,
    OTEL_TRACES_SAMPLER_ARG: config.REFMODEL_OTEL_TRACES_SAMPLER_ARG,
  };
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value ? [[name, value]] : [])),
  );
}
