// The whole operator but its process, over the fake API server, with a gateway whose report the test writes.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../common/clock.ts';
import { silentLogger } from '../../common/log.ts';
import { Controller } from '../../operator/controller/controller.ts';
import { ControllerMetrics } from '../../operator/controller/metrics.ts';
import type { PoolTraffic } from '../../operator/controller/resources/pool-plan.ts';
import type { DemandReport } from '../../operator/demand.ts';
import { classManifest, modelManifest } from './builders.ts';
import { operatorKit } from './operator-kit.ts';

export const collections = {
  models: 'refmodel.dev/v1alpha1/referencemodels',
  classes: 'refmodel.dev/v1alpha1/gpuclasses',
  deployments: 'apps/v1/deployments',
  services: 'v1/services',
  serviceAccounts: 'v1/serviceaccounts',
  configMaps: 'v1/configmaps',
  networkPolicies: 'networking.k8s.io/v1/networkpolicies',
  pods: 'v1/pods',
  events: 'events.k8s.io/v1/events',
};

interface Conditions {
  conditions?: { type: string; status: string; reason: string }[];
}

export async function controllerKit({ traffic }: { traffic?: PoolTraffic } = {}) {
  const kit = await operatorKit();
  const { server, client, world } = kit;
  let report: DemandReport = { gateway: 'g', models: [], pods: [], traffic: [] };
  const gateway = createServer((_req, res) => res.end(JSON.stringify(report)));
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
  const { port } = gateway.address() as AddressInfo;
  server.put('discovery.k8s.io/v1/endpointslices', {
    metadata: {
      name: 'gateways',
      namespace: 'sys',
      labels: { 'kubernetes.io/service-name': 'refmodel-gateway-admin' },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['127.0.0.1'] }],
    ports: [{ port }],
  });
  const metrics = new ControllerMetrics();
  const stop = new AbortController();
  let ended: Promise<unknown> = Promise.resolve();

  const statusOf = (name: string) =>
    server.get(collections.models, name, 'rl')?.['status'] as Conditions | undefined;
  const reasonOf = (name: string, type: string) =>
    statusOf(name)?.conditions?.find((condition) => condition.type === type)?.reason;

  return {
    ...kit,
    statusOf,
    reasonOf,
    /** Runs of one queue so far, those that wrote nothing among them. */
    async runs(queue: 'pool' | 'model'): Promise<number> {
      const text = await metrics.registry.metrics();
      const found = new RegExp(`reconcile_seconds_count{queue="${queue}"} (\\d+)`).exec(text);
      return Number(found?.[1] ?? 0);
    },
    putModel: (name: string, spec: object = {}, metadata: object = {}) =>
      server.put(
        collections.models,
        modelManifest({
          metadata: { name, uid: `uid-${name}`, ...metadata },
          spec: { gpuClass: 'cpu', ...spec },
        }),
      ),
    putClass: (spec: object = {}) => server.put(collections.classes, classManifest({ spec })),
    setReport: (more: Partial<DemandReport>) => {
      report = { ...report, ...more };
    },
    /** Starts the operator; it works until the end of the test. */
    async start(): Promise<void> {
      await kit.synced();
      const controller = new Controller({
        world,
        client,
        clock: systemClock,
        log: silentLogger,
        metrics,
        settings: {
          images: { CPU: 'refmodel:1', CUDA: 'refmodel:1-cuda', WebGPU: 'refmodel:1' },
          imagePullPolicy: 'IfNotPresent',
          imagePullSecrets: [],
          env: {},
          traffic,
        },
        gatewayHost: 'refmodel-gateway.sys.svc.cluster.local',
        identity: 'me',
        workers: 4,
        demandIntervalMs: 10,
      });
      ended = controller.run(stop.signal).catch((err: unknown) => err);
    },
    reason: (name: string, type: string, wanted: string) =>
      kit.until(() => reasonOf(name, type) === wanted),
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('end of test'));
      await ended;
      gateway.closeAllConnections();
      gateway.close();
      await kit[Symbol.asyncDispose]();
    },
  };
}
