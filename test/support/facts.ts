// Pods, Deployments and the facts of a model as the operator meets them, with sensible defaults.
import type { ModelFacts } from '../../operator/controller/plan/facts.ts';
import type { Deployment, Pod } from '../../operator/kube/resources.ts';
import { labelNames } from '../../operator/pool.ts';
import { judge } from '../../operator/verdict.ts';
import type { ModelState, ServerState } from '../../server/contract.ts';
import { gpuClass, referenceModel } from './builders.ts';

/** When the pods of these tests were made. */
export const made = Date.UTC(2026, 0, 1, 12);
export const at = (seconds: number): string => new Date(made + seconds * 1000).toISOString();

export const pod = (name = 'pod-1', status: Partial<NonNullable<Pod['status']>> = {}): Pod => ({
  metadata: {
    name,
    namespace: 'rl',
    creationTimestamp: at(0),
    labels: { [labelNames.pool]: 'rfm-pool-cpu', [labelNames.traffic]: 'open' },
  },
  status,
});

/** Scheduled after 1 s, started after 3, ready after 4. */
export const readyPod = (name = 'pod-1'): Pod =>
  pod(name, {
    phase: 'Running',
    conditions: [
      { type: 'PodScheduled', status: 'True', lastTransitionTime: at(1) },
      { type: 'Ready', status: 'True', lastTransitionTime: at(4) },
    ],
    containerStatuses: [container({ state: { running: { startedAt: at(3) } } })],
  });

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];

export const container = (status: Partial<ContainerStatus>): ContainerStatus => ({
  name: 'server',
  image: 'x',
  imageID: '',
  ready: false,
  restartCount: 0,
  ...status,
});

export const terminating = (of: Pod): Pod => ({
  ...of,
  metadata: { ...of.metadata, deletionTimestamp: at(60) },
});

export const deployment = (replicas: number, more: Partial<Deployment> = {}): Deployment => ({
  metadata: { name: 'rfm-pool-cpu', namespace: 'rl', uid: 'uid-d', resourceVersion: '7' },
  spec: { replicas, selector: {}, template: {} },
  ...more,
});

export const identity = {
  revision: 'r1',
  digest: 'd1',
  architecture: 'LlamaForCausalLM',
  quantization: 'Int8',
  task: 'LogProbs' as const,
  parameters: 1000,
  contextTokens: 512,
};

export const modelState = (more: Partial<ModelState> = {}): ModelState => ({
  name: 'rl/tiny',
  residency: 'Loaded',
  inFlight: 0,
  lastUsed: at(10),
  ...(more.residency === undefined && {
    identity,
    weightBytes: 4096,
    seconds: { download: 0, convert: 1.5, load: 0.5 },
  }),
  ...more,
});

export const serverState = (...models: ModelState[]): ServerState => ({
  models,
  maxModels: 2,
  isDraining: false,
});

/** An accepted model of a pool that sleeps, asked for by nobody, six seconds after its pods were made. */
export function factsOf(more: Partial<ModelFacts> = {}): ModelFacts {
  const model = more.model ?? referenceModel();
  return {
    model,
    verdict: judge(model, [
      gpuClass({ metadata: { annotations: { 'refmodel.dev/is-default-class': 'true' } } }),
    ]),
    problem: undefined,
    deployment: deployment(0),
    pods: [],
    states: new Map(),
    asked: 0,
    lastActivity: Number.NEGATIVE_INFINITY,
    now: made + 6000,
    ...more,
  };
}

/** The same with one ready pod that a gateway reports. */
export const withPod = (models: ModelState[], more: Partial<ModelFacts> = {}): ModelFacts =>
  factsOf({
    deployment: deployment(1),
    pods: [readyPod()],
    states: new Map([['pod-1', serverState(...models)]]),
    ...more,
  });

/** A model whose last status had this condition. */
export const modelThatWas = (
  type: string,
  condition: {
    status: 'True' | 'False' | 'Unknown';
    reason: string;
    lastTransitionTime?: string;
  },
  status: object = {},
) =>
  referenceModel({
    status: {
      ...status,
      conditions: [
        {
          type,
          observedGeneration: 1,
          lastTransitionTime: at(-100),
          message: 'as it was',
          ...condition,
        },
      ],
    },
  });
