// What each pod holds, as the pods tell it: one `GET /state?watch=1` stream per ready endpoint.
// A pod whose stream is broken is unknown, not empty.
import { get, type IncomingMessage } from 'node:http';
import { abortable, linkSignals, withTimeout } from '../../common/abort.ts';
import { Backoff } from '../../common/backoff.ts';
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import type { Logger } from '../../common/log.ts';
import { type ServerState, serverState } from '../../server/contract.ts';
import type { PodState } from '../demand.ts';
import type { Backend, Endpoint } from './backend.ts';

/** A stream that is silent for this long is broken: servers repeat their state every few seconds. */
const silenceMs = 15_000;
const maxLineLength = 4 * 1024 * 1024;
const retry = { firstMs: 200, maxMs: 5000 };

interface Watch {
  state: ServerState | undefined;
  stop: AbortController;
  task: Promise<void>;
}

export interface ResidencyOptions {
  backend: Pick<Backend, 'allEndpoints' | 'subscribe'>;
  clock: Clock;
  log: Logger;
}

export class Residency {
  readonly #options: ResidencyOptions;
  readonly #watches = new Map<Endpoint, Watch>();
  readonly #unsubscribe: () => void;

  constructor(options: ResidencyOptions) {
    this.#options = options;
    this.#unsubscribe = options.backend.subscribe((change) => {
      if ('pool' in change) this.#follow();
    });
    this.#follow();
  }

  stateOf(endpoint: Endpoint): ServerState | undefined {
    return this.#watches.get(endpoint)?.state;
  }

  /** The pods whose state is known now. */
  pods(): PodState[] {
    const known: PodState[] = [];
    for (const [{ id, pool }, { state }] of this.#watches) {
      if (state) known.push({ pod: id, pool, state });
    }
    return known;
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    const tasks = [...this.#watches.values()].map(({ task }) => task);
    for (const { stop } of this.#watches.values()) stop.abort();
    this.#watches.clear();
    await Promise.all(tasks);
  }

  /** One watch per ready endpoint, no other. */
  #follow(): void {
    const ready = new Set(this.#options.backend.allEndpoints());
    for (const [endpoint, watch] of this.#watches) {
      if (ready.has(endpoint)) continue;
      watch.stop.abort();
      this.#watches.delete(endpoint);
    }
    for (const endpoint of ready) {
      if (!this.#watches.has(endpoint)) this.#watch(endpoint);
    }
  }

  #watch(endpoint: Endpoint): void {
    const watch: Watch = { state: undefined, stop: new AbortController(), task: Promise.resolve() };
    this.#watches.set(endpoint, watch);
    watch.task = this.#run(endpoint, watch, watch.stop.signal);
  }

  async #run(endpoint: Endpoint, watch: Watch, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    const backoff = new Backoff(retry);
    while (!signal.aborted) {
      try {
        for await (const state of watchState(endpoint, clock, signal)) {
          watch.state = state;
          backoff.reset();
        }
      } catch (err) {
        if (!signal.aborted) log.debug({ err, pod: endpoint.id }, 'state stream broke');
      }
      watch.state = undefined;
      await clock.delay(backoff.next(), signal).catch(() => {});
    }
  }
}

/** The states of one pod, until its stream ends. Throws when it is silent, malformed or refused. */
async function* watchState(
  endpoint: Endpoint,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<ServerState> {
  using link = linkSignals(signal);
  try {
    const response = await abortable(open(endpoint, link.signal), link.signal);
    for await (const line of lines(response, clock, link.signal)) {
      if (line.length > maxLineLength) throw unexpected(endpoint, 'a line without end');
      if (line.endsWith('\n')) yield serverState.parse(JSON.parse(line));
    }
  } finally {
    link.abort(new Error('the watch ended')); // ends the socket
  }
}

/** Every line, with its end; an unfinished one as it stands after each piece of it. */
async function* lines(
  response: IncomingMessage,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const chunks: AsyncIterator<string> = response.setEncoding('utf8')[Symbol.asyncIterator]();
  for (let rest = ''; ; ) {
    using silence = withTimeout(signal, silenceMs, clock);
    const { done, value } = await abortable(chunks.next(), silence.signal);
    if (done) return;
    const parts = (rest + value).split(/(?<=\n)/);
    rest = parts.at(-1)?.endsWith('\n') ? '' : (parts.at(-1) ?? '');
    yield* parts;
  }
}

function open({ id, host, port }: Endpoint, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = get({ host, port, path: '/state?watch=1', agent: false, signal });
    request.on('error', reject);
    request.once('response', (response) => {
      response.on('error', () => {}); // reaches the reader through the iterator
      if (response.statusCode === 200) return resolve(response);
      response.resume();
      reject(unexpected({ id }, `status ${response.statusCode}`));
    });
  });
}

const unexpected = ({ id }: { id: string }, what: string) =>
  new AppError('INTERNAL', `watching the state of ${id}: ${what}`);
