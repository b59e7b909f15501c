// One request from arrival to answer: hold, send, and what to do when a pod does not answer.
//
// | what happened                                   | next                                                   |
// |-------------------------------------------------|--------------------------------------------------------|
// | an answer began                                 | passed on to the client                                |
// | MODEL_TOO_LARGE, and a larger class follows     | back into the hold, for a pod of that class            |
// | not reached, or 503 SHUTTING_DOWN / NOT_READY   | that pod is set aside; another, or back into the hold  |
// | broke after it had the request, the first time  | the same, once: scoring is pure                        |
// | … the second time                               | 503 UPSTREAM_FAILED                                    |
// | hold budget spent / work budget spent           | 503 WAKE_TIMEOUT / 503 WORK_TIMEOUT                    |
//
// The hold budget is one for all waits of a request; each try has a work budget of its own.
import type { OutgoingHttpHeaders } from 'node:http';
import { ClientGoneError, why } from '../../common/abort.ts';
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import type { Logger } from '../../common/log.ts';
import { type Tracing, traced } from '../../common/tracing.ts';
import type { Activity } from './activity.ts';
import type { Endpoint } from './backend.ts';
import type { Call } from './call.ts';
import type { Dispatcher, Lease } from './dispatch.ts';
import type { GatewayMetrics } from './metrics.ts';
import type { Outcome, Proxy, ProxyRequest } from './proxy.ts';
import { isWork } from './standing.ts';

export interface ForwarderOptions {
  dispatcher: Dispatcher;
  proxy: Proxy;
  activity: Activity;
  metrics: GatewayMetrics;
  clock: Clock;
  log: Logger;
  workTimeoutMs: number;
  tracing: Tracing;
}

/** Told to clients whose request was held. Milliseconds. */
export const heldHeader = 'x-refmodel-held-ms';

/** One request under way. */
interface Run {
  readonly request: ProxyRequest;
  readonly call: Call;
  readonly holdBudgetMs: number;
  /** The one signal of the request: its client left, the process gives up, or its work budget is spent. */
  readonly life: AbortController;
  heldMs: number;
  breaks: number;
  tries: number;
  /** Pods that can never hold the model. */
  readonly tooSmall: Set<Endpoint>;
}

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #running = new Set<AbortController>();
  #end: Error | undefined;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** Answers the request, or throws the AppError that does. */
  async forward(request: ProxyRequest, call: Call, holdBudgetMs: number): Promise<void> {
    const { activity } = this.#options;
    const life = call.endWithClient(new AbortController());
    const begun = { heldMs: 0, breaks: 0, tries: 0, tooSmall: new Set<Endpoint>() };
    const run: Run = { request, call, holdBudgetMs, life, ...begun };
    const counts = isWork(request.method, request.path);
    if (this.#end) life.abort(this.#end);
    this.#running.add(life);
    if (counts) activity.touch(request.model);
    try {
      while (!(await this.#try(run)));
    } catch (err) {
      throw inOurWords(err, life.signal);
    } finally {
      this.#running.delete(life);
      if (counts) activity.touch(request.model);
      this.#observe(run);
    }
  }

  /** Gives up the requests that run, and those that still come. */
  giveUp(reason: Error): void {
    this.#end = reason;
    for (const life of this.#running) life.abort(reason);
  }

  /** One endpoint. True when the client has its answer. */
  async #try(run: Run): Promise<boolean> {
    using lease = await this.#acquire(run);
    const outcome = await this.#exchange(run, lease);
    if (outcome.kind === 'Answered') {
      this.#options.dispatcher.confirm(lease.endpoint);
      return true;
    }
    if (outcome.kind === 'TooLarge') run.tooSmall.add(lease.endpoint);
    else this.#failed(outcome, lease, run);
    return false;
  }

  #exchange(run: Run, lease: Lease): Promise<Outcome> {
    const { tracing } = this.#options;
    const { request } = run;
    if (!tracing.isOn) return this.#send(run, request, lease);
    const attributes = { 'refmodel.pod': lease.endpoint.id, 'refmodel.try': run.tries + 1 };
    return traced(tracing, 'forward', { kind: 'Client', attributes }, async (span) => {
      const headers = { ...request.headers, ...tracing.headersOf(span) };
      const outcome = await this.#send(run, { ...request, headers }, lease);
      span.set({ 'refmodel.outcome': outcome.kind });
      return outcome;
    });
  }

  async #send(run: Run, request: ProxyRequest, { endpoint, hasLarger }: Lease): Promise<Outcome> {
    const { call, life } = run;
    const limit = this.#limitWork(run);
    try {
      return await this.#options.proxy.exchange(request, endpoint, {
        isRetry: run.tries++ > 0,
        signal: life.signal,
        hasLarger,
        begin: (status, headers) =>
          call.res.writeHead(status, { ...call.headers(), ...headers, ...heldHeaders(run) }),
      });
    } finally {
      limit[Symbol.dispose]();
    }
  }

  #acquire(run: Run): Promise<Lease> {
    const { tracing } = this.#options;
    if (!tracing.isOn) return this.#wait(run);
    return traced(tracing, 'hold', {}, async (span) => {
      const lease = await this.#wait(run);
      span.set({ 'refmodel.held_ms': lease.heldMs, 'refmodel.pod': lease.endpoint.id });
      return lease;
    });
  }

  async #wait(run: Run): Promise<Lease> {
    const { request, life, tooSmall: except } = run;
    const { clock, dispatcher } = this.#options;
    const { model, caller = '', body } = request;
    const start = clock.now();
    try {
      const budgetMs = Math.max(0, run.holdBudgetMs - run.heldMs);
      const wanted = { model, caller, bytes: body?.length ?? 0, budgetMs, except };
      const lease = await dispatcher.acquire(wanted, life.signal);
      run.heldMs += lease.heldMs;
      return lease;
    } catch (err) {
      run.heldMs += clock.now() - start;
      throw err;
    }
  }

  #failed(outcome: Exclude<Outcome, { kind: 'Answered' | 'TooLarge' }>, lease: Lease, run: Run) {
    const { dispatcher, log, metrics } = this.#options;
    const { kind, cause } = outcome;
    const { id } = lease.endpoint;
    log.warn({ requestId: run.call.id, pod: id, kind, cause }, 'pod did not answer');
    dispatcher.setAside(lease.endpoint);
    if (kind === 'Broke' && ++run.breaks > 1) {
      throw new AppError('UPSTREAM_FAILED', `sending the request to ${id}: ${cause}`);
    }
    metrics.retries.inc({ reason: kind });
  }

  /** Each try has the whole budget. */
  #limitWork({ request, life }: Run): Disposable {
    const { clock, workTimeoutMs } = this.#options;
    return clock.after(workTimeoutMs, () => {
      const message = `waiting for the answer of ${request.model}: none within ${workTimeoutMs} ms`;
      life.abort(new AppError('WORK_TIMEOUT', message));
    });
  }

  #observe({ request: { model }, heldMs }: Run): void {
    if (heldMs > 0) this.#options.metrics.holdSeconds.observe({ model }, heldMs / 1000);
  }
}

function heldHeaders({ heldMs }: Run): OutgoingHttpHeaders {
  if (heldMs === 0) return {};
  return { [heldHeader]: String(heldMs), 'server-timing': `hold;dur=${heldMs}` };
}

/** A signal's reason is not an answer; this is. */
function inOurWords(err: unknown, signal: AbortSignal): unknown {
  if (err instanceof AppError || err instanceof ClientGoneError) return err;
  if (why(signal) === 'Shutdown') {
    return new AppError('SHUTTING_DOWN', 'the gateway is ending', { cause: err });
  }
  return err;
}
