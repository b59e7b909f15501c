// Which pods of a pool go, and when: out of routing first, deleted when no gateway has a request at them. Pure.
//
// | pods that take requests | then                                                                     |
// |-------------------------|--------------------------------------------------------------------------|
// | more than wanted        | the least useful ones are closed: the Service leads to them no longer     |
// | fewer than wanted       | closed ones are opened again, before a new one is started                 |
// | as many                 | closed ones that are empty, or had their time, are released: first marked as the  |
// |                         | cheapest, then replicas without them                                      |
//
// The Deployment deletes the pods with the lowest deletion cost first (Kubernetes: "ReplicaSet, Pod deletion cost"), so
// that of several closed ones it takes those that are empty.
import { group } from '../../../crds/reference-model.ts';
import type { Pod } from '../../kube/resources.ts';
import { labelNames, traffic } from '../../pool.ts';
import { isReady, isTerminating, nameOf } from './pods.ts';

const costAnnotation = 'controller.kubernetes.io/pod-deletion-cost';
/** On a closed pod: ISO time since when it is. */
const sinceAnnotation = `${group}/closed-since`;

export const isClosed = (pod: Pod): boolean =>
  pod.metadata?.labels?.[labelNames.traffic] === traffic.closed;

/** Merge patches of a pod. */
export const closing = (now: number): object => ({
  metadata: {
    labels: { [labelNames.traffic]: traffic.closed },
    annotations: { [costAnnotation]: '-1', [sinceAnnotation]: new Date(now).toISOString() },
  },
});
const released = '-2';
export const releasing: object = { metadata: { annotations: { [costAnnotation]: released } } };
export const opening: object = {
  metadata: {
    labels: { [labelNames.traffic]: traffic.open },
    annotations: { [costAnnotation]: null, [sinceAnnotation]: null },
  },
};

export interface DrainFacts {
  /** What the Deployment has as its replicas. */
  replicas: number;
  /** Of the pool, those that end among them. */
  pods: readonly Pod[];
  /** Pods that should take requests. */
  wanted: number;
  /** False when it is known that no gateway sends to the pod or has a request at it. */
  mayBeBusy: (pod: string) => boolean;
  /** What a pod holds and would be missed for: more is closed later. */
  worth: (pod: string) => number;
  /** Time that a closed pod gets for its last requests. Milliseconds. */
  drainMs: number;
}

export interface DrainPlan {
  close: Pod[];
  open: Pod[];
  release: Pod[];
  /** What the Deployment should have as its replicas. */
  replicas: number;
}

/** Pods that take requests, or will once they are made and ready. More than asked for are of a roll-out. */
export const openReplicas = (facts: Pick<DrainFacts, 'replicas' | 'pods'>): number =>
  facts.replicas - waiting(facts).length;

export function planDrain(facts: DrainFacts, now: number): DrainPlan {
  if (facts.wanted === 0) return planZero(facts, now);
  const { replicas, wanted } = facts;
  const excess = openReplicas(facts) - wanted;
  if (excess < 0) {
    const open = waiting(facts).slice(0, -excess);
    return { close: [], open, release: [], replicas: replicas - excess - open.length };
  }
  const unmade = Math.min(missing(facts), excess); // nothing is lost with them
  const release = waiting(facts).filter((pod) => isDone(pod, facts, now));
  return {
    close: byUse(facts).slice(0, excess - unmade),
    open: [],
    release,
    replicas: replicas - unmade - release.length,
  };
}

/** All are to go, those of a roll-out that does not get on among them. */
function planZero(facts: DrainFacts, now: number): DrainPlan {
  const isEmpty = live(facts).every((pod) => isClosed(pod) && isDone(pod, facts, now));
  return { close: byUse(facts), open: [], release: [], replicas: isEmpty ? 0 : facts.replicas };
}

type Pods = Pick<DrainFacts, 'replicas' | 'pods'>;

const live = ({ pods }: Pick<DrainFacts, 'pods'>): Pod[] =>
  pods.filter((pod) => !isTerminating(pod));

/** Released pods that the Deployment is about to delete: no more of them than it has to. */
function leaving(facts: Pods): Pod[] {
  const marked = live(facts).filter(
    ({ metadata }) => metadata?.annotations?.[costAnnotation] === released,
  );
  return marked.slice(0, Math.max(0, live(facts).length - facts.replicas));
}

/** Closed pods of which nothing is decided yet. */
function waiting(facts: Pods): Pod[] {
  const gone = leaving(facts);
  return live(facts).filter((pod) => isClosed(pod) && !gone.includes(pod));
}

/** How many were asked for and are not made yet. */
const missing = (facts: Pods): number =>
  Math.max(0, facts.replicas - live(facts).length + leaving(facts).length);

function isDone(pod: Pod, { mayBeBusy, drainMs }: DrainFacts, now: number): boolean {
  const since = Date.parse(pod.metadata?.annotations?.[sinceAnnotation] ?? '');
  return !mayBeBusy(nameOf(pod)) || !(now - since < drainMs);
}

/** Open pods, the least useful first: not ready, then little worth, then young. */
function byUse(facts: DrainFacts): Pod[] {
  const { worth } = facts;
  const rank = (pod: Pod) => [Number(isReady(pod)), worth(nameOf(pod)), -created(pod)];
  return live(facts)
    .filter((pod) => !isClosed(pod))
    .sort((a, b) => {
      const [x, y] = [rank(a), rank(b)];
      const i = x.findIndex((value, at) => value !== y[at]);
      return i < 0 ? 0 : (x[i] ?? 0) - (y[i] ?? 0);
    });
}

const created = (pod: Pod): number => Date.parse(pod.metadata?.creationTimestamp ?? '') || 0;
