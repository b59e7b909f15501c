// Where a command asks: the gateway at an address, or the cluster of a kubeconfig.
import { z } from 'zod';
import type { Clock } from '../../common/clock.ts';
import { AppError, isErrorCode } from '../../common/errors.ts';
import { type ConsoleState, consoleState } from '../gateway/console/contract.ts';

export interface Source extends Disposable {
  /** Namespace of models that are named without one. */
  readonly namespace: string;
  /** What the console shows. */
  state(signal: AbortSignal): Promise<ConsoleState>;
  /** The JSON that a gateway answers. Throws the AppError that its answer tells of. */
  send(call: Call, signal: AbortSignal): Promise<unknown>;
}

export interface Call {
  method: 'GET' | 'PUT' | 'DELETE';
  path: string;
  body?: object;
}

export interface SourceOptions {
  url: string | undefined;
  /** For a gateway at `url`. */
  token: string | undefined;
  namespace: string | undefined;
  context: string | undefined;
  /** Where the gateways run. */
  system: string;
  clock: Clock;
}

/** Why a token is of no use without an address. */
export const withoutToken =
  'the proxy of the API server hands no token on; forward a port of a gateway, and give its address';

/** Loads take minutes. Milliseconds. */
export const timeoutMs = 30 * 60_000;

/** What a cluster needs is loaded for a cluster only: it is most of the start of a command. */
export async function openSource(options: SourceOptions): Promise<Source> {
  if (options.url !== undefined) return urlSource(options.url, options);
  const { clusterSource } = await import('./cluster.ts');
  return clusterSource(options);
}

const failure = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

function urlSource(url: string, { namespace = 'default', token }: SourceOptions): Source {
  const base = url.replace(/\/+$/, '');
  async function send({ method, path, body }: Call, signal: AbortSignal): Promise<unknown> {
    const headers = {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body && { 'content-type': 'application/json' }),
    };
    const init = { method, signal, headers, ...(body && { body: JSON.stringify(body) }) };
    const answer = await fetch(base + path, init).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new AppError('UPSTREAM_FAILED', `asking ${base}: nobody answers there`, { cause });
    });
    const text = await answer.text();
    if (!answer.ok) throw refusal(`${method} ${base}${path}`, answer.status, text);
    return JSON.parse(text);
  }
  return {
    namespace,
    send,
    async state(signal) {
      return consoleState.parse(await send({ method: 'GET', path: '/console/state' }, signal));
    },
    [Symbol.dispose]() {},
  };
}

/** An answer in our own shape is told in its own words. */
export function refusal(what: string, status: number, text: string): AppError {
  return failureIn(text) ?? new AppError('UPSTREAM_FAILED', `${what}: status ${status}`);
}

/** The error that an answer in our own shape tells of. */
export function failureIn(text: string): AppError | undefined {
  const { data } = failure.safeParse(parsed(text));
  if (!data || !isErrorCode(data.error.code)) return undefined;
  return new AppError(data.error.code, data.error.message);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
