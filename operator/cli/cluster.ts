// The cluster of a kubeconfig as a source. Requests reach a gateway by the proxy of the API server, so nothing need be
// forwarded; who may not use that sees the objects alone.
import { KubeConfig } from '@kubernetes/client-node';
import { withTimeout } from '../../common/abort.ts';
import { AppError } from '../../common/errors.ts';
import type { GPUClass } from '../../crds/gpu-class.ts';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import { consoleState } from '../gateway/console/contract.ts';
import { fromKubeConfig } from '../kube/api-server.ts';
import { KubeClient } from '../kube/client.ts';
import { KubernetesApiError } from '../kube/errors.ts';
import { type KubeObject, type Resource, resources } from '../kube/resources.ts';
import { Transport } from '../kube/transport.ts';
import { adminPort } from '../pool.ts';
import { stateOfObjects } from './objects.ts';
import { failureIn, type Source, type SourceOptions, timeoutMs, withoutToken } from './source.ts';

/** Rights or a NetworkPolicy may keep us from a gateway: then objects must do. Milliseconds. */
const consoleTimeoutMs = 5000;

const isAnswer = (err: unknown): boolean =>
  err instanceof KubernetesApiError && err.apiStatus !== 0;

export function clusterSource({ namespace, context, system, clock }: SourceOptions): Source {
  const config = new KubeConfig();
  config.loadFromDefault();
  if (context !== undefined) config.setCurrentContext(context);
  const options = { server: fromKubeConfig(config), clock, timeoutMs, userAgent: 'refmodel' };
  const transport = new Transport(options);
  const client = new KubeClient(options);
  const service = (name: string) => `/api/v1/namespaces/${system}/services/${name}/proxy`;
  const admin = service(`refmodel-gateway-admin:${adminPort}`);
  const traffic = service('refmodel-gateway:80');
  let isConsoleThere = true;
  return {
    namespace: namespace ?? config.getContextObject(config.currentContext)?.namespace ?? 'default',
    async state(signal) {
      if (isConsoleThere) {
        using limit = withTimeout(signal, consoleTimeoutMs, clock);
        const path = `${admin}/console/state`;
        try {
          return consoleState.parse(await transport.json({ method: 'GET', path }, limit.signal));
        } catch (err) {
          signal.throwIfAborted();
          if (!limit.signal.aborted && !isAnswer(err)) throw err;
          isConsoleThere = false;
        }
      }
      const models = await all<ReferenceModel>(client, resources.referenceModels, signal);
      const classes = await all<GPUClass>(client, resources.gpuClasses, signal);
      return stateOfObjects(models, classes);
    },
    async send({ path, ...call }, signal) {
      try {
        return await transport.json({ ...call, path: traffic + path }, signal);
      } catch (err) {
        throw err instanceof KubernetesApiError ? inItsWords(err) : err;
      }
    },
    [Symbol.dispose]() {
      transport.close();
      client.close();
    },
  };
}

/** A gateway's answer comes in the message of the API server's. */
function inItsWords(err: KubernetesApiError): AppError {
  const told = failureIn(err.message.slice(err.message.indexOf('{')));
  if (told?.code !== 'UNAUTHENTICATED') return told ?? err;
  return new AppError(told.code, `${told.message}; ${withoutToken} with --url and --token-file`);
}

async function all<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  signal: AbortSignal,
): Promise<T[]> {
  const { items } = await client.list(resource, {}, signal);
  return items.map((item) => resource.parse(item));
}
