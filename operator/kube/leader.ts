// One leader among several processes, by a Lease. Work gets a signal that fires before another may lead.
// A holder is judged by how long its Lease stood still on our own clock, so clocks need not agree.
import { type LinkedSignal, linkSignals, withTimeout } from '../../common/abort.ts';
import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log.ts';
import type { KubeClient } from './client.ts';
import { ignoreNotFound, isAlreadyExists, isConflict, isNotFound } from './errors.ts';
import { type Lease, resources } from './resources.ts';

export interface LeaderOptions {
  client: KubeClient;
  clock: Clock;
  log: Logger;
  namespace: string;
  name: string;
  /** Unique among the processes that compete: the pod's name. */
  identity: string;
  /** A Lease that stood still for so long is free. Milliseconds, a multiple of 1000. */
  leaseMs: number;
  /** The leader stops working when it could not renew for so long; less than leaseMs. Milliseconds. */
  renewDeadlineMs: number;
  /** Time between two attempts. Milliseconds. */
  retryMs: number;
}

/** Giving the Lease back at the end may take so long. Milliseconds. */
const releaseMs = 5000;

export class LeadershipLostError extends Error {
  override name = 'LeadershipLostError';
}

/**
 * Waits to become the leader, runs `work`, and starts over when leadership was lost; until `signal` fires.
 * On shutdown the Lease is given back, so that the next leader need not wait for it to expire.
 */
export async function lead(
  options: LeaderOptions,
  work: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const election = new Election(options);
  for (;;) {
    await election.acquire(signal);
    options.log.info({ identity: options.identity }, 'leading');
    using term = linkSignals(signal);
    const renewing = election.keep(term);
    try {
      await work(term.signal);
    } catch (err) {
      if (!(term.signal.reason instanceof LeadershipLostError)) throw err;
      options.log.warn({ err }, 'leadership lost');
    } finally {
      term.abort(new LeadershipLostError('the work has ended'));
      await renewing;
      await election.release();
    }
    signal.throwIfAborted();
  }
}

class Election {
  readonly #options: LeaderOptions;
  /** The Lease as last seen, and when on our clock it last changed. */
  #seen: { lease: Lease; changedAt: number } | undefined;

  constructor(options: LeaderOptions) {
    this.#options = options;
  }

  async acquire(signal: AbortSignal): Promise<void> {
    const { clock, log, retryMs } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      try {
        if (await this.#attempt(signal)) return;
      } catch (err) {
        signal.throwIfAborted();
        log.warn({ err }, 'cannot reach the lease');
      }
      await clock.delay(jittered(retryMs), signal);
    }
  }

  /** Renews until the term ends or the deadline passes; then ends the term. Never rejects. */
  async keep(term: LinkedSignal): Promise<void> {
    const { clock, log, renewDeadlineMs, retryMs } = this.#options;
    let renewedAt = clock.now();
    while (!term.signal.aborted) {
      const leftMs = renewedAt + renewDeadlineMs - clock.now();
      using limit = withTimeout(term.signal, leftMs, clock);
      try {
        await clock.delay(jittered(retryMs), limit.signal);
        const startedAt = clock.now();
        if (await this.#attempt(limit.signal)) renewedAt = startedAt;
        else if (this.#isTaken()) term.abort(new LeadershipLostError('another process leads'));
      } catch (err) {
        if (term.signal.aborted) return;
        log.warn({ err }, 'cannot renew the lease');
        if (clock.now() - renewedAt < renewDeadlineMs) continue;
        term.abort(new LeadershipLostError('the lease could not be renewed in time'));
      }
    }
  }

  /** Gives the Lease back if it is still ours. Best effort: it expires anyway. */
  async release(): Promise<void> {
    const { client, clock, identity, log, namespace, name } = this.#options;
    using limit = withTimeout(new AbortController().signal, releaseMs, clock);
    try {
      // Read anew: a renewal that was cut short may have been written.
      const lease = await client.get(resources.leases, { namespace, name }, limit.signal);
      if (lease.spec?.holderIdentity !== identity) return;
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 };
      await client.replace(resources.leases, { ...lease, spec }, limit.signal);
    } catch (err) {
      log.warn({ err }, 'cannot give the lease back');
    }
  }

  /** A Lease that was ours is written at once; else one look and, if it is ours or free, one write. True: ours now. */
  async #attempt(signal: AbortSignal): Promise<boolean> {
    return (await this.#renew(signal)) || (await this.#claimIfFree(signal));
  }

  async #renew(signal: AbortSignal): Promise<boolean> {
    const { client, identity } = this.#options;
    const lease = this.#seen?.lease;
    if (lease?.spec?.holderIdentity !== identity) return false;
    try {
      const renewed = { ...lease, spec: this.#claim(lease) };
      this.#note(await client.replace(resources.leases, renewed, signal));
      return true;
    } catch (err) {
      if (isConflict(err) || isNotFound(err)) return false; // somebody wrote to it
      throw err;
    }
  }

  async #claimIfFree(signal: AbortSignal): Promise<boolean> {
    const { client, namespace, name } = this.#options;
    const found = await client
      .get(resources.leases, { namespace, name }, signal)
      .catch(ignoreNotFound);
    try {
      if (!found) {
        const made = { metadata: { namespace, name }, spec: this.#claim(undefined) };
        this.#note(await client.create(resources.leases, made, signal));
        return true;
      }
      this.#note(found);
      if (!this.#isFree(found)) return false;
      const claimed = { ...found, spec: this.#claim(found) };
      this.#note(await client.replace(resources.leases, claimed, signal));
      return true;
    } catch (err) {
      if (isConflict(err) || isAlreadyExists(err)) return false;
      throw err;
    }
  }

  #note(lease: Lease): void {
    const isSame = this.#seen?.lease.metadata?.resourceVersion === lease.metadata?.resourceVersion;
    if (!isSame) this.#seen = { lease, changedAt: this.#options.clock.now() };
  }

  #isTaken(): boolean {
    const holder = this.#seen?.lease.spec?.holderIdentity;
    return Boolean(holder) && holder !== this.#options.identity;
  }

  #isFree(lease: Lease): boolean {
    const holder = lease.spec?.holderIdentity;
    if (!holder || holder === this.#options.identity) return true;
    const stoodStillMs = this.#options.clock.now() - (this.#seen?.changedAt ?? 0);
    return stoodStillMs > (lease.spec?.leaseDurationSeconds ?? 0) * 1000;
  }

  #claim(before: Lease | undefined): NonNullable<Lease['spec']> {
    const { clock, identity, leaseMs } = this.#options;
    const now = microTime(clock.now());
    const spec = before?.spec;
    const isOurs = spec?.holderIdentity === identity;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: leaseMs / 1000,
      acquireTime: isOurs ? (spec?.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (spec?.leaseTransitions ?? 0) + (isOurs ? 0 : 1),
    };
  }
}

/** meta/v1 MicroTime. */
export const microTime = (epochMs: number): string =>
  new Date(epochMs).toISOString().replace('Z', '000Z');

const jittered = (ms: number): number => Math.round(ms * (0.8 + Math.random() * 0.4));
