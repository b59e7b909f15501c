// What tests of the hub's client share: settings for a server on loopback, and a clock that does not wait.
import type { Clock } from '../../common/clock.ts';
import type { HubSettings } from '../../server/model/hub/settings.ts';
import type { HubServer } from './hub-server.ts';

export const neverAborted = new AbortController().signal;

export const settingsFor = (
  server: Pick<HubServer, 'endpoint'>,
  change: Partial<HubSettings> = {},
): HubSettings => ({
  endpoint: server.endpoint,
  isOffline: false,
  proxies: { http: '', https: '', except: '' },
  ...change,
});

/** Waits end at once; how long they were meant to be is in `waits`. */
export class HastyClock implements Clock {
  readonly waits: number[] = [];

  now(): number {
    return Date.now();
  }

  async delay(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.waits.push(ms);
  }

  after(ms: number, act: () => void): Disposable {
    this.waits.push(ms);
    const timer = setImmediate(act);
    return { [Symbol.dispose]: () => clearImmediate(timer) };
  }
}
