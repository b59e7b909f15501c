// Connections to pods: one request at a time on each, kept for the next, the one used last taken first.
// It knows addresses, nothing of requests.
import { buildConnector, Client } from 'undici';

export interface PodAddress {
  readonly host: string;
  readonly port: number;
}

/** Silence after which the kernel asks whether the peer still lives: a node that is gone says nothing. Milliseconds. */
const deadPeerMs = 5000;
/** Time that a connection is kept for the next request where the pod does not say for how long. Milliseconds. */
const keptMs = 60_000;

const openedAtATime = 8;
const patience = { headersTimeout: 5000, bodyTimeout: 5000 };

export class Connections {
  /** By address; what is in no list carries a request. */
  readonly #idle = new Map<string, Client[]>();
  readonly #addresses = new Map<Client, string>();
  readonly #options: Client.Options;

  constructor({ connectTimeoutMs }: { connectTimeoutMs: number }) {
    const options = { timeout: connectTimeoutMs, keepAliveInitialDelay: deadPeerMs };
    this.#options = {
      connect: buildConnector(options),
      keepAliveTimeout: keptMs,
      headersTimeout: 0, // how long a pod may work is not a matter of its connection
      bodyTimeout: 0,
    };
  }

  /** A connection for one request. A kept one may have died unseen; an `isFresh` one had no request before. */
  take(address: PodAddress, { isFresh }: { isFresh: boolean }): Client {
    const key = keyOf(address);
    return (isFresh ? undefined : this.#idle.get(key)?.pop()) ?? this.#open(key);
  }

  /** Its request has ended, and left it as it was. */
  keep(client: Client): void {
    const key = this.#addresses.get(client);
    if (key === undefined) return;
    const idle = this.#idle.get(key);
    if (idle) idle.push(client);
    else this.#idle.set(key, [client]);
  }

  /** It is of no more use: its request ended in the middle. */
  drop(client: Client): void {
    this.#addresses.delete(client);
    void client.destroy();
  }

  /** Connections to the address that wait for a request. */
  idle(address: PodAddress): number {
    return this.#idle.get(keyOf(address))?.length ?? 0;
  }

  /**
   * Opens connections until so many wait for a request. A few at a time: others are to be served meanwhile. Rejects when
   * one does not open.
   */
  async openAhead(address: PodAddress, count: number, signal: AbortSignal): Promise<void> {
    if (this.idle(address) === 0) await this.#openOne(address, signal); // does it listen?
    let missing = count - this.idle(address);
    const openSome = async () => {
      while (missing-- > 0) await this.#openOne(address, signal);
    };
    const some = Array.from({ length: openedAtATime }, openSome);
    await Promise.all(some).finally(() => {
      missing = 0;
    });
  }

  close(): void {
    this.#idle.clear();
    for (const client of this.#addresses.keys()) this.drop(client);
  }

  /** A question whose answer does not matter: a connection opens with its first request. */
  async #openOne(address: PodAddress, signal: AbortSignal): Promise<void> {
    const client = this.#open(keyOf(address));
    try {
      const answer = await client.request({ method: 'GET', path: '/healthz', signal, ...patience });
      await answer.body.dump();
      this.keep(client);
    } catch (err) {
      this.drop(client);
      throw err;
    }
  }

  #open(key: string): Client {
    const client = new Client(`http://${key}`, this.#options);
    this.#addresses.set(client, key);
    client.on('disconnect', () => this.#lost(client, key));
    return client;
  }

  /** With a request on it, the client itself knows what to do: connect again, or tell that the request failed. */
  #lost(client: Client, key: string): void {
    const idle = this.#idle.get(key);
    const at = idle?.lastIndexOf(client) ?? -1;
    if (!idle || at < 0) return;
    idle.splice(at, 1);
    if (idle.length === 0) this.#idle.delete(key);
    this.drop(client);
  }
}

const keyOf = ({ host, port }: PodAddress): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
