// Composition root of the operator process: everything is built here and handed down.
import { parseArgs } from 'node:util';
import { abortable } from '../../common/abort.ts';
import { systemClock } from '../../common/clock.ts';
import { parseConfig } from '../../common/config.ts';
import { addHealth, createApp, finish, listen } from '../../common/http.ts';
import { type Running, run } from '../../common/lifecycle.ts';
import { createLogger, type Logger } from '../../common/log.ts';
import { type ApiServer, findApiServer } from '../kube/api-server.ts';
import { KubeClient } from '../kube/client.ts';
import { lead } from '../kube/leader.ts';
import { modelKey } from '../pool.ts';
import { applyClasses, readClasses } from './classes.ts';
import {
  type ControllerConfig,
  controllerConfig,
  serverEnvironment,
  serverImages,
} from './config.ts';
import { Controller } from './controller.ts';
import { ControllerMetrics, type ControllerSources } from './metrics.ts';
import { readPoolTraffic } from './pool-traffic.ts';
import type { PoolTraffic } from './resources/pool-plan.ts';
import { together } from './together.ts';
import { poolOf, World } from './world.ts';

export const usage = `usage: refmodel operator

Turns ReferenceModels into pools of server pods, scales the pools, and says in their status how the models are.
Runs in a cluster, or with KUBECONFIG. Settings are environment variables, see docs/configuration.md.
`;

export async function main(env: NodeJS.ProcessEnv, argv: string[]): Promise<void> {
  const { values } = parseArgs({ args: argv, options: { help: { type: 'boolean', short: 'h' } } });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const config = parseConfig(controllerConfig, env);
  const log = createLogger('operator', config.REFMODEL_LOG_LEVEL);
  const options = { log, drainDelayMs: 0, closeTimeoutMs: 20_000 };
  const server = await findApiServer(env, systemClock);
  await run(options, (signal) => start(config, { server, log }, signal));
}

async function start(
  config: ControllerConfig,
  { server, log }: { server: ApiServer; log: Logger },
  signal: AbortSignal,
): Promise<Running> {
  const metrics = new ControllerMetrics();
  const client = new KubeClient({
    server,
    clock: systemClock,
    timeoutMs: config.REFMODEL_API_TIMEOUT_MS,
    userAgent: 'refmodel-operator',
    observe: (call) => metrics.apiCall(call),
  });
  const path = config.REFMODEL_POOL_TRAFFIC;
  const traffic = path ? await readPoolTraffic(path) : undefined;
  const operator = build(config, { client, log, metrics, traffic });

  let isDraining = false;
  const app = createApp();
  // A process that waits for the Lease is ready: it does what it should.
  addHealth(app, { isReady: () => !isDraining && operator.isSynced() }, metrics.registry);
  finish(app, log);
  const admin = await listen(app, config.REFMODEL_ADMIN_PORT);
  log.info({ port: admin.port }, 'listening');

  const working = operator.run(signal);
  working.catch(() => {}); // `failed` or `close` tells
  return {
    drain: () => {
      isDraining = true;
    },
    close: async () => {
      await working.catch(() => {});
      await admin.close();
      client.close();
    },
    failed: working,
  };
}

interface Parts {
  client: KubeClient;
  log: Logger;
  metrics: ControllerMetrics;
  /** What server pods may talk to. */
  traffic?: PoolTraffic | undefined;
}

export interface Operator {
  isSynced(): boolean;
  /** Works until `signal` fires; rejects with its reason, or with what broke. */
  run(signal: AbortSignal): Promise<never>;
}

const sourcesOf = (world: World): ControllerSources => ({
  models: () => world.models.list().map((model) => ({ ...model, model: modelKey(model) })),
  pools: () =>
    world.deployments.list().flatMap(({ metadata, spec, status }) => {
      const pool = poolOf({ metadata });
      const counts = { wanted: spec?.replicas ?? 0, ready: status?.readyReplicas ?? 0 };
      return pool === undefined ? [] : [{ pool, ...counts }];
    }),
});

/** The operator without its process: tests run it in theirs. */
export function build(
  config: ControllerConfig,
  { client, log, metrics, traffic }: Parts,
): Operator {
  const namespace = config.REFMODEL_NAMESPACE;
  const world = new World({
    client,
    clock: systemClock,
    log,
    namespaces: config.REFMODEL_NAMESPACES ?? [],
    gateways: { namespace, service: config.REFMODEL_GATEWAY_ADMIN_SERVICE },
  });
  /** Beside the other work: a class that the API server refuses holds nothing up. */
  const classes = async (term: AbortSignal) => {
    const path = config.REFMODEL_CLASSES;
    if (path)
      await applyClasses(await readClasses(path), { client, clock: systemClock, log }, term);
    await abortable(new Promise<never>(() => {}), term);
  };
  const work = async (term: AbortSignal) => {
    metrics.leading(sourcesOf(world));
    try {
      const controller = new Controller({
        world,
        client,
        clock: systemClock,
        log,
        metrics,
        settings: {
          images: serverImages(config),
          imagePullPolicy: config.REFMODEL_IMAGE_PULL_POLICY,
          imagePullSecrets: config.REFMODEL_IMAGE_PULL_SECRETS ?? [],
          env: serverEnvironment(config),
          traffic,
        },
        gatewayHost: `${config.REFMODEL_GATEWAY_SERVICE}.${namespace}.svc.${config.REFMODEL_CLUSTER_DOMAIN}`,
        identity: config.REFMODEL_POD_NAME,
        workers: config.REFMODEL_WORKERS,
        demandIntervalMs: config.REFMODEL_DEMAND_INTERVAL_MS,
      });
      await together([classes, (link) => controller.run(link)], term);
    } finally {
      metrics.leading(undefined);
    }
  };
  const election = {
    client,
    clock: systemClock,
    log,
    namespace,
    name: 'refmodel-operator',
    identity: config.REFMODEL_POD_NAME,
    leaseMs: config.REFMODEL_LEASE_MS,
    renewDeadlineMs: config.REFMODEL_LEASE_RENEW_DEADLINE_MS,
    retryMs: config.REFMODEL_LEASE_RETRY_MS,
  };
  return {
    isSynced: () => world.isSynced,
    async run(signal) {
      // Caches are kept while another process leads, so that taking over needs no list.
      const leading = config.REFMODEL_LEADER_ELECTION
        ? (link: AbortSignal) => lead(election, work, link)
        : work;
      await together([(link) => world.run(link), leading], signal);
      throw new Error('the operator ended by itself');
    },
  };
}
