// GPUClass: what a pod of a pool gets, in zod, the one definition. The CRD's YAML is generated from it.
import { z } from 'zod';
import { checked, duration, quantity, ruledMeta } from './common.ts';
import { apiVersion } from './reference-model.ts';

export const executionProviders = ['CUDA', 'CPU', 'WebGPU'] as const;
export type ExecutionProvider = (typeof executionProviders)[number];

/** The class of models that name none carries this annotation with the value "true". */
export const defaultClassAnnotation = 'refmodel.dev/is-default-class';

const short = z.string().max(253);
const quantities = z.record(z.string().max(316), quantity);

const toleration = z.object({
  key: short.optional(),
  operator: z.enum(['Exists', 'Equal']).optional(),
  value: short.optional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
  tolerationSeconds: z.int().optional(),
});

const cache = checked(
  z.object({
    emptyDir: z.object({ sizeLimit: quantity.optional() }).optional(),
    hostPath: z.object({ path: z.string().min(1).max(4096).regex(/^\//) }).optional(),
    persistentVolumeClaim: z.object({ claimName: short.min(1) }).optional(),
  }),
  (value) => Object.values(value).filter((volume) => volume !== undefined).length <= 1,
  {
    rule: '[has(self.emptyDir), has(self.hostPath), has(self.persistentVolumeClaim)].filter(x, x).size() <= 1',
    message: 'spec.cache takes one of emptyDir, hostPath, persistentVolumeClaim',
    reason: 'FieldValueInvalid',
  },
);

const rolloutAmount = z
  .string()
  .max(8)
  .regex(/^[0-9]{1,4}%?$/);

const isNone = (amount: string): boolean => /^0+%?$/.test(amount);
const none = (field: string, byDefault: string) =>
  `(has(self.${field}) ? self.${field} : '${byDefault}').matches('^0+%?$')`;

const rollout = checked(
  z.object({
    maxSurge: rolloutAmount.default('1').describe('Pods above the wanted number: "1", "25%".'),
    maxUnavailable: rolloutAmount
      .default('0')
      .describe(
        'Pods below the wanted number: "0", "25%". With maxSurge 0, where no GPU is spare.',
      ),
    drainTimeout: duration.default('2m').describe('Time that requests in flight get at the end.'),
  }),
  ({ maxSurge, maxUnavailable }) => !isNone(maxSurge) || !isNone(maxUnavailable),
  {
    rule: `!${none('maxSurge', '1')} || !${none('maxUnavailable', '0')}`,
    message:
      'spec.rollout.maxSurge and maxUnavailable must not both be 0: no pod could be replaced',
    reason: 'FieldValueInvalid',
  },
);

export const gpuClassSpec = z
  .object({
    executionProvider: z.enum(executionProviders).describe('What ONNX Runtime computes on.'),
    resources: z
      .object({ limits: quantities.optional(), requests: quantities.optional() })
      .prefault({})
      .describe('Resources of the server container, the GPU among them.'),
    memory: quantity.describe(
      'Memory that the cache of models may fill, for instance "70Gi": of the GPU with CUDA, else of the machine.',
    ),
    maxModels: z.int().min(1).max(64).default(2).describe('Models that a pod holds at most.'),
    maxStarting: z
      .int()
      .min(1)
      .max(1000)
      .optional()
      .describe(
        'Pods of one namespace that start at a time; others wait for their turn. Default: any number.',
      ),
    nodeSelector: z
      .record(z.string().max(316), z.string().max(63))
      .optional()
      .describe('Labels of the nodes that pods may run on.'),
    tolerations: z
      .array(toleration)
      .max(64)
      .optional()
      .describe('Taints of nodes that pods put up with.'),
    affinity: z
      .record(z.string(), z.unknown())
      .optional()
      .describe('core/v1 Affinity, passed to the pods as it is.'),
    runtimeClassName: short.optional().describe('RuntimeClass of the pods.'),
    priorityClassName: short.optional().describe('PriorityClass of the pods.'),
    image: z
      .string()
      .max(1024)
      .optional()
      .describe("Default: the operator's own server image for the execution provider."),
    cache: cache
      .prefault({})
      .describe('Volume of converted models. Default: an emptyDir that ends with the pod.'),
    rollout: rollout.prefault({}).describe('How pods are replaced when the class changes.'),
  })
  .describe('Pods on one kind of machine, and what models may take of it.');
export type GPUClassSpec = z.output<typeof gpuClassSpec>;

export const gpuClass = z.object({
  apiVersion: z.literal(apiVersion),
  kind: z.literal('GPUClass'),
  metadata: ruledMeta.omit({ namespace: true }),
  spec: gpuClassSpec,
});
export type GPUClass = z.output<typeof gpuClass>;

export const isDefaultClass = (value: GPUClass): boolean =>
  value.metadata.annotations[defaultClassAnnotation] === 'true';
