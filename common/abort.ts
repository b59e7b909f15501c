// Signals without leaks: AbortSignal.any against a long-lived parent keeps every child on Node 20
// (nodejs/node#54614), so links here are made by hand and taken down when their scope ends.
import { setMaxListeners } from 'node:events';
import type { Clock } from './clock.ts';

export class TimeoutError extends Error {
  override name = 'TimeoutError';
}
export class ClientGoneError extends Error {
  override name = 'ClientGoneError';
}
export class ShutdownError extends Error {
  override name = 'ShutdownError';
}

export type AbortCause = 'Timeout' | 'ClientGone' | 'Shutdown' | 'Other';

/** Why a signal fired, read from its reason. */
export function why(signal: AbortSignal): AbortCause {
  if (signal.reason instanceof TimeoutError) return 'Timeout';
  if (signal.reason instanceof ClientGoneError) return 'ClientGone';
  if (signal.reason instanceof ShutdownError) return 'Shutdown';
  return 'Other';
}

export interface LinkedSignal extends Disposable {
  signal: AbortSignal;
  abort(reason: Error): void;
}

/** A signal that follows its parents until disposed: `using link = linkSignals(a, b)`. */
export function linkSignals(...parents: AbortSignal[]): LinkedSignal {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal); // much work may hang on it: that is no leak
  const removers: (() => void)[] = [];
  for (const parent of parents) {
    if (parent.aborted) {
      controller.abort(parent.reason);
      break;
    }
    const follow = () => controller.abort(parent.reason);
    parent.addEventListener('abort', follow, { once: true });
    removers.push(() => parent.removeEventListener('abort', follow));
  }
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose]: () => removers.forEach((remove) => remove()),
  };
}

export interface TimedSignal extends LinkedSignal {
  /** The time begins anew. */
  readonly restart: () => void;
}

/** `parent` that also fires with a TimeoutError after `ms`. */
export function withTimeout(parent: AbortSignal, ms: number, clock: Clock): TimedSignal {
  const link = linkSignals(parent);
  const start = () =>
    clock.after(ms, () => link.abort(new TimeoutError(`timed out after ${ms} ms`)));
  let timer = start();
  return {
    ...link,
    restart: () => {
      timer[Symbol.dispose]();
      timer = start();
    },
    [Symbol.dispose]: () => {
      link[Symbol.dispose]();
      timer[Symbol.dispose]();
    },
  };
}

/** `promise`, or a rejection with the signal's reason if that fires first. The work itself goes on. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    stop = () => signal.removeEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    stop();
  }
}
