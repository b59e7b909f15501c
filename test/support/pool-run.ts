// A pool of pods as scaling sees it: pods written as words, and one where gateway, Deployment and operator act in any order.
import assert from 'node:assert/strict';
import {
  closing,
  type DrainFacts,
  isClosed,
  opening,
  openReplicas,
  planDrain,
  releasing,
} from '../../operator/controller/plan/drain.ts';
import { nameOf } from '../../operator/controller/plan/pods.ts';
import type { Pod } from '../../operator/kube/resources.ts';
import { decideReplicas } from '../../operator/scale.ts';
import { at, made, pod, readyPod, terminating } from './facts.ts';

export const drainMs = 60_000;

/** "a": ready, "b?": not ready, "c-": closed since a second, "d=": for longer than it may, "e~": released, "f!": ends. */
export function podOf(text: string): Pod {
  const [name = '', mark = ''] = text;
  const plain = mark === '?' ? pod(name) : readyPod(name);
  const base = {
    ...plain,
    metadata: { ...plain.metadata, creationTimestamp: at(name.charCodeAt(0)) },
  };
  if (mark === '!') return terminating(base);
  if (mark === '' || mark === '?') return base;
  const closed = patched(base, closing(mark === '=' ? made - drainMs : made - 1000));
  return mark === '~' ? patched(closed, releasing) : closed;
}

interface SimulatedPod {
  pod: Pod;
  inFlight: number;
}

/** A gateway, a Deployment and the operator, each of which acts when the test says, and sees what it saw then. */
export class PoolRun {
  readonly #maxReplicas = 3;
  readonly #idleMs = 5000;
  #now = made;
  #made = 0;
  #replicas = 0;
  #pods: SimulatedPod[] = [];
  /** Pods that the gateway sends to. */
  #view: SimulatedPod[] = [];
  #held = 0;
  #lastActivity = Number.NEGATIVE_INFINITY;
  #isSilent = false;

  ask(which: number): void {
    this.#lastActivity = this.#now;
    const target = this.#view[which % Math.max(1, this.#view.length)];
    if (target) target.inFlight += 1;
    else this.#hold();
  }

  answer(which: number): void {
    const busy = this.#pods.filter(({ inFlight }) => inFlight > 0);
    const one = busy[which % Math.max(1, busy.length)];
    if (one) one.inFlight -= 1;
    this.#lastActivity = this.#now;
  }

  /** The gateway hears of the endpoints. */
  sync(): void {
    this.#view = this.#live().filter(({ pod: each }) => isReadyNow(each) && !isClosed(each));
    const [first] = this.#view;
    if (!first) return;
    first.inFlight += this.#held;
    this.#held = 0;
  }

  /** The Deployment makes pods, or deletes those that cost least. */
  replicate(): void {
    const live = this.#live();
    for (let i = live.length; i < this.#replicas; i++) {
      this.#pods.push({
        pod: podOf(`${String.fromCharCode(97 + (this.#made++ % 26))}?`),
        inFlight: 0,
      });
    }
    const cost = ({ metadata }: Pod) =>
      Number(metadata?.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? 0);
    const rank = ({ pod: each }: SimulatedPod) => Number(isReadyNow(each)) * 10 + cost(each);
    const victims = live
      .toSorted((a, b) => rank(a) - rank(b))
      .slice(0, live.length - this.#replicas);
    for (const victim of live.length > this.#replicas ? victims : []) this.#delete(victim);
  }

  start(which: number): void {
    const waiting = this.#live().filter(({ pod: each }) => !isReadyNow(each));
    const one = waiting[which % Math.max(1, waiting.length)];
    if (one) one.pod = { ...one.pod, status: readyPod().status };
  }

  /** The gateway's next report is missing. */
  silence(): void {
    this.#isSilent = true;
  }

  /** Time passes. */
  rest(which: number): void {
    this.#now += which * 1000;
  }

  /** The operator looks, decides and acts. */
  tick(): void {
    this.#now += 1000;
    const pods = this.#pods.map(({ pod: each }) => each);
    const traffic = new Set([...this.#view, ...this.#pods.filter(({ inFlight }) => inFlight > 0)]);
    const inFlight = this.#pods.reduce((sum, each) => sum + each.inFlight, 0);
    const { replicas: wanted } = decideReplicas(
      {
        current: openReplicas({ replicas: this.#replicas, pods }),
        models: [
          {
            minReplicas: 0,
            maxReplicas: this.#maxReplicas,
            concurrency: 1,
            idleTimeoutMs: this.#idleMs,
            asked: this.#isSilent ? 0 : this.#held + inFlight,
            lastActivity: this.#lastActivity,
            isLeased: false,
          },
        ],
        isComplete: !this.#isSilent,
        isLoading: false,
        readySince: pods.some(isReadyNow) ? made : undefined,
        neededLately: 0,
      },
      this.#now,
    );
    const facts: DrainFacts = {
      replicas: this.#replicas,
      pods,
      wanted,
      mayBeBusy: (name) =>
        this.#isSilent || [...traffic].some(({ pod: each }) => nameOf(each) === name),
      worth: () => 0,
      drainMs: Number.POSITIVE_INFINITY,
    };
    const plan = planDrain(facts, this.#now);
    this.#isSilent = false;
    assert.ok(plan.replicas >= 0 && plan.replicas <= this.#replicas + this.#maxReplicas);
    for (const each of this.#pods) {
      if (plan.close.includes(each.pod)) each.pod = patched(each.pod, closing(this.#now));
      else if (plan.open.includes(each.pod)) each.pod = patched(each.pod, opening);
      else if (plan.release.includes(each.pod)) each.pod = patched(each.pod, releasing);
    }
    this.#replicas = plan.replicas;
  }

  /** Whoever is held is served in the end, when every part does what it should. */
  finish(): void {
    for (let round = 0; round < 5; round++) {
      this.tick();
      this.replicate();
      this.start(0);
      this.sync();
    }
    assert.equal(this.#held, 0, 'a waiter was left alone');
  }

  #live(): SimulatedPod[] {
    return this.#pods.filter(({ pod: each }) => each.metadata?.deletionTimestamp === undefined);
  }

  #hold(): void {
    this.#held += 1;
    if (this.#replicas === 0) this.#replicas = 1;
  }

  #delete(victim: SimulatedPod): void {
    assert.equal(victim.inFlight, 0, 'a pod was deleted with a request in flight');
    assert.ok(!this.#view.includes(victim), 'a pod was deleted that the gateway sends to');
    victim.pod = terminating(victim.pod);
  }
}

const isReadyNow = (each: Pod): boolean => (each.status?.conditions ?? []).length > 0;

/** RFC 7386, as far as pods need it. */
function patched(each: Pod, change: object): Pod {
  const { metadata = {} } = change as { metadata?: Record<string, Record<string, string | null>> };
  const merge = (field: 'labels' | 'annotations') =>
    Object.fromEntries(
      Object.entries({ ...each.metadata?.[field], ...metadata[field] }).flatMap(([name, value]) =>
        value === null ? [] : [[name, value]],
      ),
    );
  const changed = { labels: merge('labels'), annotations: merge('annotations') };
  return { ...each, metadata: { ...each.metadata, ...changed } };
}
