// The gateway of a cluster: reads its settings, builds the parts over Kubernetes, runs until told to end.
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { ShutdownError } from '../../common/abort.ts';
import { systemClock } from '../../common/clock.ts';
import { parseConfig } from '../../common/config.ts';
import { listen } from '../../common/http.ts';
import { type Running, run } from '../../common/lifecycle.ts';
import { createLogger, type Logger } from '../../common/log.ts';
import { startTracing, type Tracing } from '../../common/tracing.ts';
import { type ApiServer, findApiServer } from '../kube/api-server.ts';
import { KubeClient } from '../kube/client.ts';
import { KubernetesReviews } from './access/reviews.ts';
import { KubernetesBackend } from './backend/kubernetes.ts';
import { type GatewayConfig, gatewayConfig, requestSettingsOf } from './config.ts';
import { createGateway } from './gateway.ts';

export const usage = `usage: refmodel gateway

Finds the model of a request, holds it while no pod is ready, wakes the pool, streams the answer back.
Runs in a cluster, or with KUBECONFIG. Settings are environment variables, see docs/configuration.md.
`;

/** One call to the Kubernetes API may take this long. */
const apiTimeoutMs = 15_000;
/** For the last answers to leave, after the time that requests get. */
const closeMarginMs = 5000;

export async function main(env: NodeJS.ProcessEnv, argv: string[]): Promise<void> {
  const { values } = parseArgs({ args: argv, options: { help: { type: 'boolean', short: 'h' } } });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const config = parseConfig(gatewayConfig, env);
  const log = createLogger('gateway', config.REFMODEL_LOG_LEVEL);
  const drainDelayMs = config.REFMODEL_DRAIN_DELAY_MS;
  const closeTimeoutMs = config.REFMODEL_DRAIN_TIMEOUT_MS + closeMarginMs;
  const tracing = await startTracing('refmodel-gateway', env);
  const server = await findApiServer(env, systemClock);
  await run({ log, drainDelayMs, closeTimeoutMs }, () => start(config, { server, log, tracing }));
}

interface Given {
  readonly server: ApiServer;
  readonly log: Logger;
  readonly tracing: Tracing;
}

async function start(config: GatewayConfig, { server, log, tracing }: Given): Promise<Running> {
  const clock = systemClock;
  const userAgent = 'refmodel-gateway';
  const client = new KubeClient({ server, clock, timeoutMs: apiTimeoutMs, userAgent });
  const namespaces = config.REFMODEL_NAMESPACES ?? [];
  const leaseNamespace = config.REFMODEL_NAMESPACE;
  const backend = new KubernetesBackend({ client, clock, log, namespaces, leaseNamespace });
  const settings = requestSettingsOf(config);
  const gateway = createGateway({
    name: hostname(),
    backend,
    reviews: new KubernetesReviews(client),
    guardsManagement: config.REFMODEL_MANAGEMENT_ACCESS === 'Authenticated',
    settings,
    hasConsole: config.REFMODEL_CONSOLE,
    clock,
    log,
    tracing,
  });

  // Not the lifecycle's signal: requests that are still held at the end need the watches.
  const background = new AbortController();
  const admin = await listen(gateway.admin, config.REFMODEL_ADMIN_PORT);
  const traffic = await listen(gateway.traffic, config.REFMODEL_PORT);
  log.info({ port: traffic.port, adminPort: admin.port }, 'listening');
  return {
    failed: backend.run(background.signal),
    drain: () => gateway.drain(),
    async close() {
      await gateway.close([traffic], config.REFMODEL_DRAIN_TIMEOUT_MS);
      background.abort(new ShutdownError('the process is ending'));
      await admin.close();
      client.close();
    },
  };
}
