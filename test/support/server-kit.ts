// A server over a loopback port, with a catalog file of its own.
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../common/clock.ts';
import { parseConfig } from '../../common/config.ts';
import { type Logger, silentLogger } from '../../common/log.ts';
import { memoryLimits, serverConfig } from '../../server/config.ts';
import type { CatalogModel } from '../../server/contract.ts';
import { noBytes } from '../../server/model/memory.ts';
import type { LoadModel } from '../../server/model/scoring.ts';
import { startServer } from '../../server/start.ts';

export const catalogModel = (name: string, values: Partial<CatalogModel> = {}): CatalogModel => ({
  name,
  source: { volume: { root: '/nowhere', path: name } },
  quantization: 'None',
  preload: false,
  maxSequenceTokens: 64,
  maxBatchTokens: 256,
  ...values,
});

export interface ServerKitOptions {
  load: LoadModel;
  /** Default: one, "rl/tiny". */
  models?: CatalogModel[];
  env?: Record<string, string>;
  clock?: Clock;
  /** Default: silent. */
  log?: Logger;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read answers freely
  body: any;
}

export type ServerKit = Awaited<ReturnType<typeof startServerKit>>;

/** `await using kit = await startServerKit(…)` closes it. */
export async function startServerKit({
  load,
  models,
  env,
  clock = systemClock,
  log = silentLogger,
}: ServerKitOptions) {
  const folder = await mkdtemp(join(tmpdir(), 'refmodel-server-'));
  const path = join(folder, 'catalog.json');
  const writeCatalog = async (list: CatalogModel[]) => {
    await writeFile(`${path}.new`, JSON.stringify({ models: list }));
    await rename(`${path}.new`, path);
  };
  await writeCatalog(models ?? [catalogModel('rl/tiny')]);
  const config = parseConfig(serverConfig, {
    REFMODEL_CATALOG: path,
    REFMODEL_PORT: '0',
    REFMODEL_HOST: '127.0.0.1',
    REFMODEL_MEMORY_BYTES: '1000000000',
    ...env,
  });
  const ending = new AbortController();
  const memory = memoryLimits(config, noBytes);
  const server = await startServer({ config, load, clock, log, memory }, ending.signal);
  let closed: Promise<void> | undefined;
  const close = () => (closed ??= server.close());
  const url = `http://127.0.0.1:${server.port}`;

  async function request(method: string, route: string, init: RequestInit = {}): Promise<Answer> {
    const res = await fetch(url + route, { method, ...init });
    const text = await res.text();
    const isJson = res.headers.get('content-type')?.startsWith('application/json');
    return {
      status: res.status,
      headers: res.headers,
      text,
      body: isJson ? JSON.parse(text) : text,
    };
  }
  return {
    url,
    close,
    drain: () => server.drain(),
    writeCatalog,
    request,
    get: (route: string) => request('GET', route),
    post: (
      route: string,
      body: unknown,
      headers: Record<string, string> = {},
      signal?: AbortSignal,
    ) =>
      request('POST', route, {
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
        ...(signal && { signal }),
      }),
    async [Symbol.asyncDispose]() {
      await close();
      await rm(folder, { recursive: true });
    },
  };
}

/** Waits until `isTrue`, looking again at every turn of the event loop. */
export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setImmediate(resolve));
}
