// What `/console/state` says, as a schema: the page and `refmodel status` show it. No behaviour.
// It holds names, sizes and times; never a prompt, a token or a Secret.
import { z } from 'zod';

/** In order of attention. */
export const standings = [
  'Refused',
  'Failed',
  'Starting',
  'Loading',
  'Warm',
  'Asleep',
  'Unknown',
] as const;
export type Standing = (typeof standings)[number];

/** Why a model is where it is: a reason or an error code, in the words of who found it. */
const finding = z.object({
  /** An error code, or the reason of a condition. */
  reason: z.string(),
  message: z.string(),
  /** Only of an error code. */
  remedy: z.string().optional(),
});
export type Finding = z.output<typeof finding>;

const bytes = z.object({ host: z.number(), device: z.number() });

/** Seconds; what is not known is left out. */
const coldStart = z.object({
  schedule: z.number().optional(),
  image: z.number().optional(),
  download: z.number().optional(),
  convert: z.number().optional(),
  load: z.number().optional(),
});
export type ColdStart = z.output<typeof coldStart>;

export const consoleModel = z.object({
  /** "<namespace>/<name>" */
  name: z.string(),
  standing: z.enum(standings),
  why: finding.optional(),
  /** Repository of the hub, or claim and folder. */
  source: z.string(),
  quantization: z.string(),
  task: z.string().optional(),
  gpuClass: z.string().optional(),
  placement: z.string(),
  access: z.string(),
  /** "<namespace>/<pool>" */
  pool: z.string().optional(),
  /** Requests that wait here for a pod, and whose they are; an empty caller: nobody said. */
  held: z.number(),
  waiting: z.array(z.object({ caller: z.string(), requests: z.number() })),
  /** Requests that this gateway has sent to a pod and that are not answered yet. */
  inFlight: z.number(),
  /** Pods that hold it. */
  pods: z.array(z.string()),
  /** The load under way. */
  load: z
    .object({
      pod: z.string(),
      phase: z.string(),
      bytes: z.number().optional(),
      totalBytes: z.number().optional(),
    })
    .optional(),
  coldStart: coldStart.optional(),
  /** How far it is from its checkpoint: mean KL in nats per token, differences of log-probs. */
  fidelity: z
    .object({
      kl: z.number().optional(),
      meanAbsDelta: z.number().optional(),
      maxAbsDelta: z.number().optional(),
      tokens: z.number().optional(),
    })
    .optional(),
  /** spec.fidelity.maxKL */
  maxKL: z.number().optional(),
  /** How far the policy of the last batch was from it, in nats per token. */
  policy: z.object({ k1: z.number(), k3: z.number(), tokens: z.number() }).optional(),
  memory: bytes.optional(),
  architecture: z.string().optional(),
  parameters: z.number().optional(),
  revision: z.string().optional(),
  /** ISO time. */
  lastRequest: z.string().optional(),
  idleTimeout: z.string(),
  /** Runs that hold a lease on it. */
  runs: z.array(z.string()),
});
export type ConsoleModel = z.output<typeof consoleModel>;

export const consolePod = z.object({
  pod: z.string(),
  pool: z.string(),
  isDraining: z.boolean(),
  /** False: it takes requests, and its state has not been heard yet. */
  isHeard: z.boolean(),
  inFlight: z.number(),
  maxModels: z.number().optional(),
  /** What models may take together. */
  limits: z.object({ host: z.number(), device: z.number().optional() }).optional(),
  models: z.array(z.object({ name: z.string(), residency: z.string(), memory: bytes.optional() })),
});
export type ConsolePod = z.output<typeof consolePod>;

export const consoleState = z.object({
  /** Requests that wait or run are those of this gateway; others have their own. */
  gateway: z.string(),
  models: z.array(consoleModel),
  pods: z.array(consolePod),
  runs: z.array(
    z.object({
      run: z.string(),
      models: z.array(z.string()),
      /** ISO time. */
      expiresAt: z.string(),
    }),
  ),
});
export type ConsoleState = z.output<typeof consoleState>;
