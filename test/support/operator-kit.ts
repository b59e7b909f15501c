// The parts of the operator over the fake API server.
import { systemClock } from '../../common/clock.ts';
import { silentLogger } from '../../common/log.ts';
import { World } from '../../operator/controller/world.ts';
import { clientOf, until } from './kube-kit.ts';
import { KubeServer } from './kube-server.ts';

export { never } from './kube-kit.ts';

/** A server, a client and a World that follows it once `synced` is called. */
export async function operatorKit() {
  const server = await KubeServer.start();
  const client = clientOf(server);
  const world = new World({
    client,
    clock: systemClock,
    log: silentLogger,
    namespaces: [],
    gateways: { namespace: 'sys', service: 'refmodel-gateway-admin' },
  });
  const stop = new AbortController();
  let ended: Promise<unknown> = Promise.resolve();
  return {
    server,
    client,
    world,
    until,
    /** Starts to follow the server; resolves when everything in it is known and watched. */
    async synced(): Promise<World> {
      ended = world.run(stop.signal).catch((err: unknown) => err);
      await world.synced(stop.signal);
      await until(() => server.watches === 10);
      return world;
    },
    /** Changes of the server so far by us: everything but reads. */
    writes: () => server.requests.filter(({ method }) => method !== 'GET'),
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('end of test'));
      await ended;
      client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}
