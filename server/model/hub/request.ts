// GET against the hub: proxies, redirects, and whom the token is shown. It knows HTTP, not what is asked for.
import type { Readable } from 'node:stream';
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import type { Clock } from '../../../common/clock.ts';
import {
  connectionLost,
  type Headers,
  header,
  notTheHub,
  refusal,
  storageFailed,
} from './refusal.ts';
import type { HubSettings } from './settings.ts';

/** Without a byte for this long a connection counts as cut. Milliseconds. */
const silenceMs = 30_000;
const maxRedirects = 5;

export interface HubAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Readable;
}

interface RawAnswer extends HubAnswer {
  readonly body: Dispatcher.ResponseData['body'];
}

export class HubClient implements AsyncDisposable {
  readonly #endpoint: string;
  readonly #token: string | undefined;
  readonly #dispatcher: EnvHttpProxyAgent;
  readonly #clock: Clock;

  /** The token of the settings is what every request to the endpoint itself carries. */
  constructor({ endpoint, token, proxies }: HubSettings, clock: Clock) {
    this.#endpoint = endpoint;
    this.#token = token;
    this.#clock = clock;
    // Empty words, so that it does not look into the environment by itself.
    this.#dispatcher = new EnvHttpProxyAgent({
      httpProxy: proxies.http,
      httpsProxy: proxies.https,
      noProxy: proxies.except,
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
    });
  }

  /**
   * The successful answer to GET `path`; read or destroy its body. `what` names in errors what is asked for. Throws
   * HUB_UNREACHABLE and HUB_RATE_LIMITED, after which the same may succeed, and the other codes of HUB_ for good.
   */
  async get(
    path: string,
    { what, headers = {} }: { what: string; headers?: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<HubAnswer> {
    const { answer, url } = await this.#follow(path, { what, headers }, signal);
    if (answer.status >= 200 && answer.status < 300) return answer;
    await discard(answer); // what it says is in its headers
    throw this.#isHub(url)
      ? refusal(what, answer, this.#clock.now())
      : storageFailed(what, answer.status);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatcher.destroy();
  }

  async #follow(
    path: string,
    { what, headers }: { what: string; headers: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<{ answer: RawAnswer; url: URL }> {
    let url = new URL(`${this.#endpoint}${path}`);
    for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
      const answer = await this.#send(url, { what, headers }, signal);
      const location = header(answer.headers, 'location');
      if (answer.status < 300 || answer.status >= 400 || !location) return { answer, url };
      await discard(answer);
      if (!URL.canParse(location, url.href)) throw notTheHub(what, 'it redirects to nowhere');
      url = new URL(location, url);
    }
    throw notTheHub(what, 'it redirects in a circle');
  }

  async #send(
    url: URL,
    { what, headers }: { what: string; headers: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<RawAnswer> {
    // Storage is another host, with a signature in its address: the token is none of its business.
    const token = this.#isHub(url) ? this.#token : undefined;
    try {
      const answer = await request(url, {
        dispatcher: this.#dispatcher,
        signal,
        headers: {
          'user-agent': 'refmodel',
          'accept-encoding': 'identity', // sizes and ranges are those of the file
          ...headers,
          ...(token && { authorization: `Bearer ${token}` }),
        },
      });
      return { status: answer.statusCode, headers: answer.headers, body: answer.body };
    } catch (err: unknown) {
      signal.throwIfAborted();
      throw connectionLost(what, err);
    }
  }

  #isHub(url: URL): boolean {
    return url.origin === new URL(this.#endpoint).origin;
  }
}

/** Reads the few bytes of it, so that the connection can be used again. */
async function discard({ body }: RawAnswer): Promise<void> {
  await body.dump().catch(() => {}); // it does not matter any more
}
