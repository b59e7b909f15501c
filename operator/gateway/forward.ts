// One request from arrival to answer: hold, send, and what to do when a pod does not answer.
//
// | what happened                                   | next                                                   |
// |-------------------------------------------------|--------------------------------------------------------|
// | an answer began                                 | passed on to the client                                |
// | not reached, or 503 SHUTTING_DOWN / NOT_READY   | that pod is set aside; another, or back into the hold  |
// | broke after it had the request, the first time  | the same, once: scoring is pure                        |
// | … the second time                               | 503 UPSTREAM_FAILED                                    |
// | hold budget spent / work budget spent           | 503 WAKE_TIMEOUT / 503 WORK_TIMEOUT                    |
//
// The hold budget is one for all waits of a request; each try has a work budget of its own.
import type { OutgoingHttpHeaders } from 'node:http';
import { ClientGoneError, linkSignals, why, withTimeout } from '../../common/abort.ts';
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import { clientSignal } from '../../common/http.ts';
import type { Logger } from '../../common/log.ts';
import type { Activity } from './activity.ts';
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
  /** Fires when the process gives up the requests it still has. */
  shutdown: AbortSignal;
}

/** Told to clients whose request was held. Milliseconds. */
export const heldHeader = 'x-refmodel-held-ms';

interface Progress {
  heldMs: number;
  breaks: number;
  tries: number;
}

export class Forwarder {
  readonly #options: ForwarderOptions;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** Answers the request, or throws the AppError that does. */
  async forward(request: ProxyRequest, call: Call, holdBudgetMs: number): Promise<void> {
    const { activity, shutdown } = this.#options;
    using link = linkSignals(clientSignal(call.res), shutdown);
    const { signal } = link;
    const progress: Progress = { heldMs: 0, breaks: 0, tries: 0 };
    if (isWork(request.method, request.path)) activity.touch(request.model);
    try {
      while (!(await this.#try(request, call, { progress, holdBudgetMs, signal })));
    } catch (err) {
      throw inOurWords(err, signal);
    } finally {
      if (isWork(request.method, request.path)) activity.touch(request.model);
      this.#observe(request, progress);
    }
  }

  /** One endpoint. True when the client has its answer. */
  async #try(
    request: ProxyRequest,
    call: Call,
    run: { progress: Progress; holdBudgetMs: number; signal: AbortSignal },
  ): Promise<boolean> {
    const { progress, signal } = run;
    using lease = await this.#acquire(request, run);
    using limit = this.#workLimit(signal);
    try {
      const outcome = await this.#options.proxy.exchange(request, lease.endpoint, {
        isRetry: progress.tries++ > 0,
        signal: limit.signal,
        begin: (status, headers) => {
          const { res } = call;
          return res.writeHead(status, { ...call.headers(), ...headers, ...heldHeaders(progress) });
        },
      });
      if (outcome.kind !== 'Answered') {
        this.#failed(outcome, lease, progress);
        return false;
      }
      this.#options.dispatcher.confirm(lease.endpoint);
      return true;
    } catch (err) {
      if (why(limit.signal) === 'Timeout') throw this.#workTimeout(request);
      throw err;
    }
  }

  async #acquire(
    { model, caller = '', body }: ProxyRequest,
    run: { progress: Progress; holdBudgetMs: number; signal: AbortSignal },
  ): Promise<Lease> {
    const { progress, holdBudgetMs, signal } = run;
    const { clock, dispatcher } = this.#options;
    const start = clock.now();
    try {
      const budgetMs = Math.max(0, holdBudgetMs - progress.heldMs);
      const wanted = { model, caller, bytes: body?.length ?? 0, budgetMs };
      const lease = await dispatcher.acquire(wanted, signal);
      progress.heldMs += lease.heldMs;
      return lease;
    } catch (err) {
      progress.heldMs += clock.now() - start;
      throw err;
    }
  }

  #failed(outcome: Exclude<Outcome, { kind: 'Answered' }>, lease: Lease, progress: Progress) {
    const { dispatcher, log, metrics } = this.#options;
    const { kind, cause } = outcome;
    const { id } = lease.endpoint;
    log.warn({ pod: id, kind, cause }, 'pod did not answer');
    dispatcher.setAside(lease.endpoint);
    if (kind === 'Broke' && ++progress.breaks > 1) {
      throw new AppError('UPSTREAM_FAILED', `sending the request to ${id}: ${cause}`);
    }
    metrics.retries.inc({ reason: kind });
  }

  #workLimit(signal: AbortSignal) {
    return withTimeout(signal, this.#options.workTimeoutMs, this.#options.clock);
  }

  #workTimeout({ model }: ProxyRequest): AppError {
    const { workTimeoutMs } = this.#options;
    const message = `waiting for the answer of ${model}: none within ${workTimeoutMs} ms`;
    return new AppError('WORK_TIMEOUT', message);
  }

  #observe({ model }: ProxyRequest, { heldMs }: Progress): void {
    if (heldMs > 0) this.#options.metrics.holdSeconds.observe({ model }, heldMs / 1000);
  }
}

function heldHeaders({ heldMs }: Progress): OutgoingHttpHeaders {
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
