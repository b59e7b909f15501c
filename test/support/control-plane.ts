// A real API server for tests: the one that REFMODEL_TEST_KUBECONFIG names, or one started from built binaries.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { homedir, networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../common/clock.ts';
import { parseConfig } from '../../common/config.ts';
import { createLogger } from '../../common/log.ts';
import { controllerConfig } from '../../operator/controller/config.ts';
import { build } from '../../operator/controller/main.ts';
import { ControllerMetrics } from '../../operator/controller/metrics.ts';
import type { DemandReport } from '../../operator/demand.ts';
import {
  type ApiServer,
  type CallOptions,
  fromKubeConfig,
} from '../../operator/kube/api-server.ts';
import { KubeClient } from '../../operator/kube/client.ts';
import { isNotFound } from '../../operator/kube/errors.ts';
import type { KubeObject, Resource } from '../../operator/kube/resources.ts';
import type { ApiCall } from '../../operator/kube/transport.ts';

const run = promisify(execFile);
const scripts = join(import.meta.dirname, '../cluster');
const binaries =
  process.env['REFMODEL_CLUSTER_BIN'] ?? join(homedir(), '.cache/refmodel-cluster/bin');

/** Why there is no API server to test against; undefined when there is. */
export const noControlPlane =
  process.env['REFMODEL_TEST_KUBECONFIG'] !== undefined || existsSync(join(binaries, 'kwok'))
    ? undefined
    : `no API server: set REFMODEL_TEST_KUBECONFIG, or build one with test/cluster/build.sh into ${binaries}`;

/** A program that was built, or else is installed. */
export const programPath = (name: string): string =>
  existsSync(join(binaries, name)) ? join(binaries, name) : name;

/** Pods become ready by themselves only where kwok plays them. */
export const hasKwok = process.env['REFMODEL_TEST_KUBECONFIG'] === undefined;

export interface ControlPlane extends AsyncDisposable {
  client: KubeClient;
  kubeconfig: string;
  /** Another client, of somebody else if one is named, that tells of its calls; `close` it. */
  clientOf(user?: string, observe?: (call: ApiCall) => void): KubeClient;
  /** kubectl against it; what it printed, stderr included. Rejects when it fails. */
  kubectl(args: string[], input?: string): Promise<string>;
}

/** Starts it where it is not given; the CRDs of the repository are installed then. */
export async function startControlPlane(): Promise<ControlPlane> {
  const given = process.env['REFMODEL_TEST_KUBECONFIG'];
  // A folder and a port of its own: one that somebody works with stays as it is.
  const env = {
    ...process.env,
    REFMODEL_CONTROL_PLANE_DIR: join(tmpdir(), `refmodel-test-${process.pid}`),
    REFMODEL_CONTROL_PLANE_PORT: String(17_000 + (process.pid % 500) * 10),
  };
  const up = () => run(join(scripts, 'up.sh'), ['--control-plane', '--kwok'], { env });
  const kubeconfig = given ?? (await up()).stdout.trim();
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const connect = (server: ApiServer, observe?: (call: ApiCall) => void) =>
    new KubeClient({ server, clock: systemClock, timeoutMs: 10_000, userAgent: 'test', observe });
  const admin = fromKubeConfig(config);
  const client = connect(admin);
  const clientOf = (user?: string, observe?: (call: ApiCall) => void) => {
    const authenticate = async (options: CallOptions) => {
      await admin.authenticate(options);
      if (user !== undefined) options.headers['impersonate-user'] = user;
    };
    return connect({ ...admin, authenticate }, observe);
  };
  const kubectl = async (args: string[], input?: string) => {
    const call = run(programPath('kubectl'), ['--kubeconfig', kubeconfig, ...args], {
      maxBuffer: 16 << 20,
    });
    call.child.stdin?.end(input);
    return (await call).stdout;
  };
  const crds = ['referencemodels', 'gpuclasses'];
  await kubectl(['apply', ...crds.flatMap((name) => ['-f', `crds/${name}.yaml`])]);
  await kubectl([
    'wait',
    '--for=condition=Established',
    ...crds.map((name) => `crd/${name}.refmodel.dev`),
  ]);
  return {
    client,
    clientOf,
    kubeconfig,
    kubectl,
    async [Symbol.asyncDispose]() {
      client.close();
      if (!given) await run(join(scripts, 'down.sh'), ['--control-plane'], { env });
    },
  };
}

/** A node for kwok to play, so that pods get scheduled. */
export const fakeNode = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, annotations: { 'kwok.x-k8s.io/node': 'fake' }, labels: { type: 'kwok' } },
  status: { allocatable: { cpu: '32', memory: '256Gi', pods: '110' } },
});

export const newName = (prefix: string): string => `${prefix}-${randomBytes(4).toString('hex')}`;

export const missing = async <T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  ref: { namespace?: string; name: string },
): Promise<boolean> =>
  client.get(resource, ref, AbortSignal.timeout(5000)).then(
    () => false,
    (err: unknown) => {
      if (isNotFound(err)) return true;
      throw err;
    },
  );

/** A gateway as the operator sees it: something that answers GET /demand. */
export class FakeGateway implements Disposable {
  report: DemandReport = { gateway: 'fake', models: [], pods: [], traffic: [] };
  readonly #server = createServer((_req, res) => res.end(JSON.stringify(this.report)));

  /** Listens, and makes the EndpointSlice that the operator finds it by. */
  static async start(plane: ControlPlane, namespace: string): Promise<FakeGateway> {
    const gateway = new FakeGateway();
    await new Promise<void>((resolve) => gateway.#server.listen(0, ownAddress, resolve));
    const { port } = gateway.#server.address() as AddressInfo;
    const slice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: 'gateways',
        namespace,
        labels: { 'kubernetes.io/service-name': 'refmodel-gateway-admin' },
      },
      addressType: 'IPv4',
      endpoints: [{ addresses: [ownAddress] }],
      ports: [{ name: 'admin', port }],
    };
    await plane.kubectl(['apply', '-f', '-'], JSON.stringify(slice));
    return gateway;
  }

  [Symbol.dispose](): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** An address of this machine: an EndpointSlice must not name a loopback address. */
export const ownAddress: string | undefined = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === 'IPv4' && !address.internal)?.address;

export interface RunningOperator extends AsyncDisposable {
  /** Objects written so far, by kind and verb. */
  writes(): Promise<Record<string, number>>;
}

/** The operator in this process, against a real API server. Works in `namespace` alone, and ends `client`. */
export function startOperator(
  plane: ControlPlane,
  namespace: string,
  client: KubeClient = plane.clientOf(),
): RunningOperator {
  const config = parseConfig(controllerConfig, {
    REFMODEL_NAMESPACE: namespace,
    REFMODEL_NAMESPACES: namespace,
    REFMODEL_POD_NAME: newName('operator'),
    REFMODEL_SERVER_IMAGE: 'refmodel.local/refmodel:test',
    REFMODEL_LEASE_RETRY_MS: '100',
    REFMODEL_DEMAND_INTERVAL_MS: '200',
  });
  const metrics = new ControllerMetrics();
  const log = createLogger('operator', process.env['TEST_LOG'] === '1' ? 'debug' : 'silent', 2);
  const operator = build(config, { client, log, metrics });
  const stop = new AbortController();
  const ended = operator.run(stop.signal).catch((err: unknown) => err);
  return {
    async writes() {
      const metric = await metrics.registry
        .getSingleMetric('refmodel_operator_writes_total')
        ?.get();
      return Object.fromEntries(
        (metric?.values ?? []).map(({ labels, value }) => [
          `${labels['kind']} ${labels['verb']}`,
          value,
        ]),
      );
    },
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('end of test'));
      await ended;
      client.close();
    },
  };
}
