// A gateway put together over a backend: what `main.ts` and `local.ts` share.
import type { RequestListener } from 'node:http';
import type { Express } from 'express';
import { ShutdownError } from '../../common/abort.ts';
import type { Clock } from '../../common/clock.ts';
import type { Listening } from '../../common/http.ts';
import type { Logger } from '../../common/log.ts';
import { noTracing, type Tracing } from '../../common/tracing.ts';
import type { DemandReport } from '../demand.ts';
import { Access } from './access/access.ts';
import type { Reviews } from './access/reviews.ts';
import { Activity } from './activity.ts';
import { adminApp, trafficApp } from './app.ts';
import type { Backend } from './backend.ts';
import type { RequestSettings } from './config.ts';
import { Connections } from './connections.ts';
import type { ConsoleState } from './console/contract.ts';
import { consoleState } from './console/state.ts';
import { Dispatcher } from './dispatch.ts';
import { Forwarder } from './forward.ts';
import { Hold } from './hold.ts';
import { createMetrics } from './metrics.ts';
import { OpenAhead } from './open-ahead.ts';
import { Proxy } from './proxy.ts';
import { Residency } from './residency.ts';

/** Time for the answers to requests that are given up; then their connections are cut. Milliseconds. */
const lastWordsMs = 1000;

export interface GatewayParts {
  /** Unique among the gateways. */
  name: string;
  backend: Backend;
  /** Who tells whose a token is. */
  reviews: Reviews;
  /** Whether leases and changes of the cache need their right for Anonymous models too. */
  guardsManagement: boolean;
  settings: RequestSettings;
  /** Whether the admin port shows the console. */
  hasConsole: boolean;
  clock: Clock;
  log: Logger;
  /** Default: none. */
  tracing?: Tracing;
}

export interface Gateway {
  traffic: RequestListener;
  admin: Express;
  report(): DemandReport;
  /** What the console shows. */
  console(): ConsoleState;
  /** Unready from now on; requests are still served. */
  drain(): void;
  /**
   * Stops listening, gives held and running requests `timeoutMs`, answers the rest SHUTTING_DOWN,
   * and releases everything but the backend.
   */
  close(listening: readonly Listening[], timeoutMs: number): Promise<void>;
}

export function createGateway(parts: GatewayParts): Gateway {
  const { name, backend, reviews, guardsManagement, settings, hasConsole, clock, log } = parts;
  const { tracing = noTracing } = parts;
  const metrics = createMetrics({
    held: () => hold.keys().map((model) => ({ model, held: hold.held(model) })),
    heldBytes: () => hold.bytes,
    inFlight: () => activity.inFlight(),
    endpoints: () => backend.allEndpoints(),
  });
  const activity = new Activity(clock);
  const hold = new Hold({ maxRequests: settings.holdMaxRequests, maxBytes: settings.holdMaxBytes });
  const residency = new Residency({ backend, clock, log });
  const dispatcher = new Dispatcher({
    backend,
    hold,
    activity,
    residency,
    onWake: (pool) => metrics.wakes.inc({ pool }),
    onWoken: (_pool, seconds) => metrics.wakeSeconds.observe(seconds),
    onWakeFailed: (pool) => metrics.wakeFailures.inc({ pool }),
    clock,
    log,
    tracing,
  });
  const connections = new Connections({ connectTimeoutMs: settings.connectTimeoutMs });
  const proxy = new Proxy(connections);
  const openAhead = new OpenAhead({
    backend,
    waiting: (pool) => dispatcher.waiting(pool),
    open: (address, count, signal) => connections.openAhead(address, count, signal),
    clock,
    log,
  });
  const ended = new AbortController();
  const access = new Access({ reviews, guardsManagement, clock, shutdown: ended.signal });
  const { workTimeoutMs } = settings;
  const forwarder = new Forwarder({
    dispatcher,
    proxy,
    activity,
    metrics,
    clock,
    log,
    workTimeoutMs,
    tracing,
  });

  let isDraining = false;
  const report = (): DemandReport => ({
    gateway: name,
    models: activity.report((model) => hold.held(model)),
    pods: residency.pods(),
    traffic: [...new Set([...backend.allEndpoints(), ...activity.busy()])].map((endpoint) => ({
      pod: endpoint.id,
      pool: endpoint.pool,
      inFlight: activity.load(endpoint),
    })),
  });
  const showConsole = (): ConsoleState =>
    consoleState({
      report: report(),
      models: backend.models(),
      objects: backend.objects(),
      leases: backend.leases(),
      waiting: (model) => hold.callers(model),
      trouble: (pool) => backend.trouble(pool),
    });
  return {
    traffic: trafficApp({
      access,
      backend,
      dispatcher,
      forwarder,
      metrics,
      settings,
      clock,
      log,
      isDraining: () => isDraining,
      tracing,
    }),
    admin: adminApp({
      metrics,
      log,
      clock,
      report,
      console: hasConsole ? showConsole : undefined,
      health: { isReady: () => !isDraining && backend.isSynced() },
    }),
    report,
    console: showConsole,
    drain() {
      isDraining = true;
    },
    async close(listening, timeoutMs) {
      isDraining = true;
      const closed = Promise.all(listening.map((listener) => listener.close()));
      const done = new AbortController();
      const giveUp = async () => {
        await clock.delay(timeoutMs, done.signal);
        forwarder.giveUp(new ShutdownError('the gateway is ending'));
        await clock.delay(lastWordsMs, done.signal);
        for (const { server } of listening) server.closeAllConnections();
      };
      giveUp().catch(() => {}); // all was closed before
      await closed;
      done.abort(new Error('closed'));
      ended.abort(new ShutdownError('the gateway has ended'));
      await Promise.all([dispatcher.close(), residency.close(), openAhead.close()]);
      connections.close();
      await tracing.close();
    },
  };
}
