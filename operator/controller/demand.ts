// What is asked for, and what the pods hold: every gateway's report, merged. A report that is missing is unknown,
// never zero. Decides nothing.
import { randomUUID } from 'node:crypto';
import { withTimeout } from '../../common/abort.ts';
import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log.ts';
import type { ServerState } from '../../server/contract.ts';
import { type DemandReport, demandReport } from '../demand.ts';
import type { EndpointSlice } from '../kube/resources.ts';
import { adminPort, type ModelKey, type PoolKey } from '../pool.ts';

export interface ModelView {
  /** Requests in flight and held, over the gateways that answered. */
  asked: number;
  /** Epoch milliseconds; never goes back while this process lives. -Infinity for none. */
  lastActivity: number;
}

export const neverAsked: ModelView = { asked: 0, lastActivity: Number.NEGATIVE_INFINITY };

export interface DemandView {
  /** True when every gateway that is known has answered, and there is one. */
  isComplete: boolean;
  models: ReadonlyMap<ModelKey, ModelView>;
  /** Pool → pod → its state. */
  states: ReadonlyMap<PoolKey, ReadonlyMap<string, ServerState>>;
  /** Pool → pods that a gateway may send requests to, or has one at. */
  traffic: ReadonlyMap<PoolKey, ReadonlySet<string>>;
  gateways: { known: number; answered: number };
}

export const unknownDemand: DemandView = {
  isComplete: false,
  models: new Map(),
  states: new Map(),
  traffic: new Map(),
  gateways: { known: 0, answered: 0 },
};

/** Every address of the slices, ready or not: a gateway that ends still has requests in flight. */
export function gatewayUrls(slices: readonly EndpointSlice[]): string[] {
  const urls = slices.flatMap(({ addressType, endpoints, ports }) => {
    const port = ports?.[0]?.port ?? adminPort;
    const host = (address: string) => (addressType === 'IPv6' ? `[${address}]` : address);
    return (endpoints ?? []).flatMap(({ addresses }) =>
      addresses.map((address) => `http://${host(address)}:${port}/demand`),
    );
  });
  return [...new Set(urls)].sort();
}

export interface DemandCollectorOptions {
  clock: Clock;
  log: Logger;
  /** Time that a gateway gets to answer. Milliseconds. */
  timeoutMs: number;
  urls: () => readonly string[];
  /** False: the model is gone, and what is remembered of it too. */
  isKnown: (model: ModelKey) => boolean;
}

export class DemandCollector {
  readonly #options: DemandCollectorOptions;
  readonly #lastActivity = new Map<ModelKey, number>();

  constructor(options: DemandCollectorOptions) {
    this.#options = options;
  }

  /** One look at all gateways. Rejects only when `signal` fires. */
  async collect(signal: AbortSignal): Promise<DemandView> {
    const urls = this.#options.urls();
    const answers = await Promise.all(urls.map((url) => this.#ask(url, signal)));
    const reports = answers.filter((report) => report !== undefined);
    return {
      isComplete: urls.length > 0 && reports.length === urls.length,
      models: this.#modelViews(reports),
      states: statesOf(reports),
      traffic: trafficOf(reports),
      gateways: { known: urls.length, answered: reports.length },
    };
  }

  async #ask(url: string, signal: AbortSignal): Promise<DemandReport | undefined> {
    const { clock, log, timeoutMs } = this.#options;
    using limit = withTimeout(signal, timeoutMs, clock);
    const requestId = randomUUID();
    try {
      const headers = { 'x-request-id': requestId };
      const answer = await fetch(url, { signal: limit.signal, headers });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      return demandReport.parse(await answer.json());
    } catch (err) {
      signal.throwIfAborted();
      log.debug({ err, url, requestId }, 'no demand report');
      return undefined;
    }
  }

  #modelViews(reports: readonly DemandReport[]): Map<ModelKey, ModelView> {
    const asked = new Map<ModelKey, number>();
    for (const { model, inFlight, held, lastActivity } of reports.flatMap(
      (report) => report.models,
    )) {
      if (!this.#options.isKnown(model)) continue;
      asked.set(model, (asked.get(model) ?? 0) + inFlight + held);
      const at = lastActivity === null ? Number.NEGATIVE_INFINITY : Date.parse(lastActivity);
      const before = this.#lastActivity.get(model) ?? Number.NEGATIVE_INFINITY;
      this.#lastActivity.set(model, Math.max(before, at));
    }
    const views = new Map<ModelKey, ModelView>();
    for (const [model, lastActivity] of this.#lastActivity) {
      if (this.#options.isKnown(model)) {
        views.set(model, { asked: asked.get(model) ?? 0, lastActivity });
      } else this.#lastActivity.delete(model);
    }
    return views;
  }
}

/** Gateways hear from the pods at different moments: of several reports, always the same gateway's counts. */
function statesOf(reports: readonly DemandReport[]): Map<PoolKey, Map<string, ServerState>> {
  const states = new Map<PoolKey, Map<string, ServerState>>();
  const inOrder = reports.toSorted((a, b) => (a.gateway < b.gateway ? -1 : 1));
  for (const { pod, pool, state } of inOrder.flatMap((report) => report.pods)) {
    const pods = states.get(pool) ?? new Map<string, ServerState>();
    if (!pods.has(pod)) pods.set(pod, state);
    states.set(pool, pods);
  }
  return states;
}

function trafficOf(reports: readonly DemandReport[]): Map<PoolKey, Set<string>> {
  const traffic = new Map<PoolKey, Set<string>>();
  for (const { pod, pool } of reports.flatMap((report) => report.traffic)) {
    traffic.set(pool, (traffic.get(pool) ?? new Set()).add(pod));
  }
  return traffic;
}

/** What of the pods' states a model's status depends on: not the counts, which change with every request. */
export function stateSignature(states: ReadonlyMap<string, ServerState> | undefined): string {
  const lines = [...(states ?? [])].flatMap(([pod, { models }]) =>
    models.map(({ name, residency, identity, error }) =>
      [pod, name, residency, identity?.digest, error?.code].join(' '),
    ),
  );
  return [...(states?.keys() ?? []), ...lines].sort().join('\n');
}
