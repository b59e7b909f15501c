import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import type { Client } from 'undici';
import { Connections } from '../../../../operator/gateway/connections.ts';
import { eventually } from '../../../support/gateway-kit.ts';

/** Counts its connections. */
async function withServer(
  use: (connections: Connections, pod: Pod) => Promise<void>,
): Promise<void> {
  let opened = 0;
  const server = createServer((_req, res) => res.end('ok')).on('connection', () => opened++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connections = new Connections({ connectTimeoutMs: 3000 });
  const address = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  try {
    await use(connections, {
      address,
      opened: () => opened,
      hangUp: () => server.closeAllConnections(),
    });
  } finally {
    connections.close();
    server.close();
    server.closeAllConnections();
  }
}
interface Pod {
  address: { host: string; port: number };
  opened: () => number;
  hangUp: () => void;
}

const never = new AbortController().signal;

const ask = async (client: Client): Promise<void> => {
  const answer = await client.request({ method: 'GET', path: '/' });
  await answer.body.dump();
};

describe('Connections', () => {
  it('gives the one used last, and opens another when none is free', () =>
    withServer(async (connections, { address, opened }) => {
      const [first, second] = [
        connections.take(address, { isFresh: false }),
        connections.take(address, { isFresh: false }),
      ];
      await Promise.all([ask(first), ask(second)]);
      connections.keep(first);
      connections.keep(second);

      assert.equal(connections.take(address, { isFresh: false }), second);
      assert.equal(connections.take(address, { isFresh: false }), first);
      assert.equal(opened(), 2);
    }));

  it('opens one of its own for who asks for a fresh one', () =>
    withServer(async (connections, { address }) => {
      const kept = connections.take(address, { isFresh: false });
      connections.keep(kept);

      assert.notEqual(connections.take(address, { isFresh: true }), kept);
      assert.equal(connections.take(address, { isFresh: false }), kept);
    }));

  it('keeps those of an address for that address', () =>
    withServer(async (connections, { address }) => {
      const kept = connections.take(address, { isFresh: false });
      connections.keep(kept);
      const other = { host: '127.0.0.2', port: address.port };

      assert.notEqual(connections.take(other, { isFresh: false }), kept);
    }));

  it('forgets those that the pod ends while nobody uses them', () =>
    withServer(async (connections, { address, hangUp }) => {
      const kept = connections.take(address, { isFresh: false });
      await ask(kept);
      connections.keep(kept);
      assert.equal(connections.idle(address), 1);

      hangUp();
      await eventually(() => connections.idle(address) === 0);

      assert.notEqual(connections.take(address, { isFresh: false }), kept);
    }));

  it('does not give back what was dropped', () =>
    withServer(async (connections, { address }) => {
      const broken = connections.take(address, { isFresh: false });
      connections.drop(broken);
      connections.keep(broken);

      assert.equal(connections.idle(address), 0);
    }));

  it('ends all of them, used or not, when it is closed', () =>
    withServer(async (connections, { address }) => {
      const [kept, used] = [
        connections.take(address, { isFresh: false }),
        connections.take(address, { isFresh: false }),
      ];
      connections.keep(kept);

      connections.close();

      assert.deepEqual([kept.destroyed, used.destroyed], [true, true]);
    }));

  it('opens as many ahead as are to wait, those there are among them', () =>
    withServer(async (connections, { address, opened }) => {
      await connections.openAhead(address, 20, never);
      const before = [connections.idle(address), opened()];
      await connections.openAhead(address, 25, never);
      await connections.openAhead(address, 10, never);

      assert.deepEqual(before, [20, 20]);
      assert.deepEqual([connections.idle(address), opened()], [25, 25]);
    }));

  it('keeps nothing of an address where nobody listens', () =>
    withServer(async (connections) => {
      const nobody = { host: '127.0.0.1', port: 1 };

      await assert.rejects(connections.openAhead(nobody, 20, never));

      assert.equal(connections.idle(nobody), 0);
    }));
});
