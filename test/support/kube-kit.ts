// Clients, and conditions to wait for, for tests over the fake API server.
import { setImmediate as turn } from 'node:timers/promises';
import { type Clock, systemClock } from '../../common/clock.ts';
import { KubeClient } from '../../operator/kube/client.ts';
import type { ConfigMap } from '../../operator/kube/resources.ts';
import type { ApiCall } from '../../operator/kube/transport.ts';
import type { KubeServer } from './kube-server.ts';

export const never: AbortSignal = new AbortController().signal;

export interface ClientOptions {
  clock?: Clock;
  timeoutMs?: number;
  observe?: (call: ApiCall) => void;
}

export const clientOf = (server: KubeServer, options: ClientOptions = {}): KubeClient =>
  new KubeClient({
    config: server.config,
    clock: systemClock,
    timeoutMs: 5000,
    userAgent: 'test',
    ...options,
  });

export const configMap = (name: string, data: Record<string, string> = {}): ConfigMap => ({
  metadata: { name, namespace: 'rl', labels: { app: 'x' } },
  data,
});

/** Waits for a condition that I/O in this process brings about; fails after `turns` looks. */
export async function until(condition: () => boolean, turns = 20_000): Promise<void> {
  for (let i = 0; i < turns; i += 1) {
    if (condition()) return;
    await turn();
  }
  throw new Error(`never came true: ${String(condition)}`);
}
