// Where the API server is, and how a call to it says who makes it: in a pod by its ServiceAccount, elsewhere by a
// kubeconfig. In a pod client-node stays unloaded: it takes three quarters of the time that a gateway needs to start.
import { readFile } from 'node:fs/promises';
import type { OutgoingHttpHeaders } from 'node:http';
import type { RequestOptions } from 'node:https';
import { join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';

export interface CallOptions extends RequestOptions {
  headers: OutgoingHttpHeaders;
}

export interface ApiServer {
  readonly url: URL;
  /** `authenticate` brings an agent of its own. */
  readonly hasProxy: boolean;
  /** Adds to the options of one call what it is trusted by, and what it trusts. */
  authenticate(options: CallOptions): Promise<void>;
}

/** Where the kubelet puts what a ServiceAccount needs (Kubernetes: "Accessing the API from within a Pod"). */
const accountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';
/** The kubelet renews a token when it is 80 % through its life, an hour at least. Milliseconds. */
const rereadMs = 60_000;

/** Throws CONFIGURATION_INVALID when neither a pod's environment nor a kubeconfig names a cluster. */
export async function findApiServer(env: NodeJS.ProcessEnv, clock: Clock): Promise<ApiServer> {
  const { KUBECONFIG, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (!KUBECONFIG && host && port) return fromPod({ host, port, folder: accountFolder }, clock);
  const library = await import('@kubernetes/client-node');
  const config = new library.KubeConfig();
  config.loadFromDefault();
  return fromKubeConfig(config);
}

export function fromKubeConfig(config: KubeConfig): ApiServer {
  const cluster = config.getCurrentCluster();
  if (!cluster) {
    throw new AppError('CONFIGURATION_INVALID', 'reading the kubeconfig: it names no cluster');
  }
  return {
    url: new URL(cluster.server),
    hasProxy: Boolean(cluster.proxyUrl),
    authenticate: (options) => config.applyToHTTPSOptions(options),
  };
}

export function fromPod(
  { host, port, folder }: { host: string; port: string; folder: string },
  clock: Clock,
): ApiServer {
  const read = (name: string) => readFile(join(folder, name), 'utf8');
  let known: { account: Promise<[ca: string, token: string]>; at: number } | undefined;
  return {
    url: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`),
    hasProxy: false,
    async authenticate(options) {
      if (!known || clock.now() - known.at >= rereadMs) {
        known = { account: Promise.all([read('ca.crt'), read('token')]), at: clock.now() };
      }
      const { account } = known;
      account.catch(() => {
        if (known?.account === account) known = undefined;
      });
      const [ca, token] = await account;
      options.ca = ca;
      options.headers = { ...options.headers, authorization: `Bearer ${token.trim()}` };
    },
  };
}
