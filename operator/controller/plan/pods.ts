// What a pod says about itself, as far as models care: is it ready, since when, and what is wrong with it. Pure.
import type { Pod } from '../../kube/resources.ts';
import type { Problem } from '../../verdict.ts';

export type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];

/** Reasons of `failureOf`: over as soon as a pod of the pool is ready. */
export const podFailures = [
  'Unschedulable',
  'ImagePull',
  'ContainerError',
  'OOMKilled',
  'CrashLoop',
  'PodFailed',
] as const;
type PodFailure = Problem & { reason: (typeof podFailures)[number] };

export const nameOf = (pod: Pod): string => pod.metadata?.name ?? '';

export const isTerminating = (pod: Pod): boolean => pod.metadata?.deletionTimestamp !== undefined;

const condition = (pod: Pod, type: string) => pod.status?.conditions?.find((c) => c.type === type);

export const isReady = (pod: Pod): boolean =>
  !isTerminating(pod) && condition(pod, 'Ready')?.status === 'True';

/** Epoch milliseconds of the moments of a pod's start; undefined before they come. */
export function startOf(
  pod: Pod,
): Record<'created' | 'scheduled' | 'started' | 'ready', number | undefined> {
  const since = (type: string) => {
    const found = condition(pod, type);
    return found?.status === 'True' ? epoch(found.lastTransitionTime) : undefined;
  };
  return {
    created: epoch(pod.metadata?.creationTimestamp),
    scheduled: since('PodScheduled'),
    started: epoch(pod.status?.containerStatuses?.[0]?.state?.running?.startedAt),
    ready: since('Ready'),
  };
}

const epoch = (time: string | undefined): number | undefined =>
  time === undefined ? undefined : Date.parse(time);

/** Why a pod is not ready, when it will not become so by waiting; undefined for a pod that is well or starting. */
export function failureOf(pod: Pod): PodFailure | undefined {
  if (isReady(pod) || isTerminating(pod)) return undefined;
  const [server] = pod.status?.containerStatuses ?? [];
  return podFailure(pod) ?? (server && (waitFailure(server) ?? endFailure(server)));
}

function podFailure(pod: Pod): PodFailure | undefined {
  const { phase, reason = '', message = '' } = pod.status ?? {};
  if (phase === 'Failed') {
    return { reason: 'PodFailed', message: [reason, message].filter(Boolean).join(': ') };
  }
  const scheduled = condition(pod, 'PodScheduled');
  return scheduled?.status === 'False' && scheduled.reason === 'Unschedulable'
    ? { reason: 'Unschedulable', message: scheduled.message ?? '' }
    : undefined;
}

/** What the kubelet writes for containers that wait (kubernetes: pkg/kubelet/images, kuberuntime). */
const waitReasons: [RegExp, PodFailure['reason']][] = [
  [/Image/, 'ImagePull'],
  [/^(Create|Run)Container/, 'ContainerError'],
];

function waitFailure({ state }: ContainerStatus): PodFailure | undefined {
  const { reason = '', message = reason } = state?.waiting ?? {};
  const found = waitReasons.find(([pattern]) => pattern.test(reason));
  return found && { reason: found[1], message };
}

function endFailure(server: ContainerStatus): PodFailure | undefined {
  const ended = server.state?.terminated ?? server.lastState?.terminated;
  if (!ended) return undefined;
  if (ended.reason === 'OOMKilled') {
    const message = `the server was killed for want of memory, ${times(server)}`;
    return { reason: 'OOMKilled', message };
  }
  const words = ended.message?.trim() || ended.reason || 'no message';
  const text = `the server ended with code ${ended.exitCode}, ${times(server)}: ${words}`;
  return { reason: 'CrashLoop', message: text.slice(0, 1000) };
}

const times = ({ restartCount }: ContainerStatus): string =>
  restartCount === 1 ? 'restarted once' : `restarted ${restartCount} times`;
