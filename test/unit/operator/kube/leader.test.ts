import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../../common/log.ts';
import { LeadershipLostError, lead } from '../../../../operator/kube/leader.ts';
import { FakeClock } from '../../../support/clock.ts';
import { clientOf } from '../../../support/kube-kit.ts';
import { KubeServer } from '../../../support/kube-server.ts';

const collection = 'coordination.k8s.io/v1/leases';

/** Processes that compete for one Lease; `leading` names those that work now. */
class Contest implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly leading = new Set<string>();
  readonly reasons = new Map<string, unknown>();
  /** Methods of all calls, in order. */
  readonly calls: string[] = [];
  readonly #ends: Promise<void>[] = [];
  readonly #server: KubeServer;
  readonly #stops: AbortController[] = [];

  constructor(server: KubeServer) {
    this.#server = server;
  }

  enter(identity: string): { stop: AbortController; ended: Promise<unknown> } {
    const stop = new AbortController();
    const client = clientOf(this.#server, {
      clock: this.clock,
      timeoutMs: 3000,
      observe: ({ method }) => this.calls.push(method),
    });
    const work = async (signal: AbortSignal) => {
      this.leading.add(identity);
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      this.leading.delete(identity);
      this.reasons.set(identity, signal.reason);
      signal.throwIfAborted();
    };
    const options = {
      client,
      clock: this.clock,
      log: silentLogger,
      namespace: 'rl',
      name: 'operator',
      identity,
      leaseMs: 15_000,
      renewDeadlineMs: 10_000,
      retryMs: 2000,
    };
    const ended = lead(options, work, stop.signal).catch((err: unknown) => err);
    this.#stops.push(stop);
    this.#ends.push(ended.then(() => client.close()));
    return { stop, ended };
  }

  holder(): unknown {
    const lease = this.#server.get(collection, 'operator', 'rl');
    return (lease?.['spec'] as { holderIdentity: string } | undefined)?.holderIdentity;
  }

  /** Lets time pass in small steps while real I/O goes on in between. */
  async until(condition: () => boolean): Promise<number> {
    const started = this.clock.now();
    for (let i = 0; i < 3000 && !condition(); i += 1) {
      await this.clock.step(100);
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(condition(), `never came true: ${String(condition)}`);
    return this.clock.now() - started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stop of this.#stops) stop.abort(new Error('end of test'));
    let isOver = false;
    const all = Promise.all(this.#ends).then(() => {
      isOver = true;
    });
    await this.until(() => isOver);
    await all;
  }
}

describe('lead', () => {
  it('lets one of several work', async () => {
    await using server = await KubeServer.start();
    await using contest = new Contest(server);
    contest.enter('a');
    contest.enter('b');

    await contest.until(() => contest.leading.size > 0);
    const first = [...contest.leading];
    const later = contest.clock.now() + 60_000;
    await contest.until(() => contest.clock.now() >= later);

    assert.equal(first.length, 1);
    assert.deepEqual([...contest.leading], first);
  });

  it('renews a Lease that it holds with one write and no look', async () => {
    await using server = await KubeServer.start();
    await using contest = new Contest(server);
    contest.enter('a');
    await contest.until(() => contest.leading.has('a'));
    const made = contest.calls.length;

    await contest.until(() => contest.calls.length >= made + 5);

    assert.deepEqual(new Set(contest.calls.slice(made)), new Set(['PUT']));
  });

  it('looks again when somebody else has written to the Lease that it holds', async () => {
    await using server = await KubeServer.start();
    await using contest = new Contest(server);
    contest.enter('a');
    await contest.until(() => contest.leading.has('a'));

    server.put(collection, { metadata: { name: 'operator', namespace: 'rl', labels: { a: 'b' } } });
    const made = contest.calls.length;
    await contest.until(() => contest.calls.slice(made).includes('GET'));
    await contest.until(() => contest.calls.at(-1) === 'PUT' && contest.calls.at(-2) === 'PUT');

    assert.ok(contest.leading.has('a'));
    assert.equal(contest.holder(), 'a');
  });

  it('gives the Lease back at the end, so that the next need not wait for it to expire', async () => {
    await using server = await KubeServer.start();
    await using contest = new Contest(server);
    const a = contest.enter('a');
    await contest.until(() => contest.leading.has('a'));
    contest.enter('b');

    a.stop.abort(new Error('shutdown'));
    const waited = await contest.until(() => contest.leading.has('b'));

    assert.ok(waited < 15_000);
    assert.equal(contest.holder(), 'b');
  });

  it('stops working before the Lease can be taken when it cannot renew', async () => {
    await using server = await KubeServer.start();
    await using contest = new Contest(server);
    contest.enter('a');
    await contest.until(() => contest.leading.has('a'));
    const failure = { status: 500, reason: 'InternalError' };

    server.failNext(...Array.from({ length: 30 }, () => failure));
    const waited = await contest.until(() => !contest.leading.has('a'));

    assert.ok(waited < 15_000);
    assert.ok(contest.reasons.get('a') instanceof LeadershipLostError);
  });

  it('takes over a Lease that stood still, and the loser stops', async () => {
    await using server = await KubeServer.start();
    await using contest = new Contest(server);
    const spec = { holderIdentity: 'gone', leaseDurationSeconds: 15 };
    server.put(collection, { metadata: { name: 'operator', namespace: 'rl' }, spec });
    contest.enter('b');

    const waited = await contest.until(() => contest.leading.has('b'));

    assert.ok(waited >= 15_000);
  });

  it('stops when another process holds the Lease, and works again when it is free', async () => {
    await using server = await KubeServer.start();
    await using contest = new Contest(server);
    contest.enter('a');
    await contest.until(() => contest.leading.has('a'));

    const spec = { holderIdentity: 'thief', leaseDurationSeconds: 5 };
    server.put(collection, { metadata: { name: 'operator', namespace: 'rl' }, spec });
    await contest.until(() => !contest.leading.has('a'));
    await contest.until(() => contest.leading.has('a'));

    assert.equal(contest.holder(), 'a');
  });

  it('rejects with what the work throws by itself', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    const broken = new Error('broken');
    const options = {
      client,
      clock: new FakeClock(),
      log: silentLogger,
      namespace: 'rl',
      name: 'operator',
      identity: 'a',
      leaseMs: 15_000,
      renewDeadlineMs: 10_000,
      retryMs: 2000,
    };

    const leading = lead(options, () => Promise.reject(broken), new AbortController().signal);

    await assert.rejects(leading, broken);
    client.close();
  });
});
