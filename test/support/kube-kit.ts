// Clients, and conditions to wait for, for tests over the fake API server.
import { setImmediate as turn } from 'node:timers/promises';
import { type Clock, systemClock } from '../../common/clock.ts';
import { KubeClient } from '../../operator/kube/client.ts';
import type { ConfigMap } from '../../operator/kube/resources.ts';
import type { ApiCall } from '../../operator/kube/transport.ts';
import type { FakeClock } from './clock.ts';
import type { KubeServer } from './kube-server.ts';

export const never: AbortSignal = new AbortController().signal;

export interface ClientOptions {
  clock?: Clock;
  timeoutMs?: number;
  observe?: (call: ApiCall) => void;
}

export const clientOf = (server: KubeServer, options: ClientOptions = {}): KubeClient =>
  new KubeClient({
    server: server.address,
    clock: systemClock,
    timeoutMs: 5000,
    userAgent: 'test',
    ...options,
  });

export const configMap = (name: string, data: Record<string, string> = {}): ConfigMap => ({
  metadata: { name, namespace: 'rl', labels: { app: 'x' } },
  data,
});

/** A machine under load may take this long for what is a matter of milliseconds. */
const patienceMs = 20_000;

/** Waits for a condition that I/O in this process brings about. */
export async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + patienceMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never came true: ${String(condition)}`);
    await turn();
  }
}

/** The same, while the time of a fake clock passes in small steps. */
export async function stepUntil(
  clock: FakeClock,
  condition: () => boolean,
  stepMs = 100,
): Promise<void> {
  const end = Date.now() + patienceMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never came true: ${String(condition)}`);
    await clock.step(stepMs);
    await turn();
  }
}
