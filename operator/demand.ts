// The report of one gateway to whoever scales: what is asked for, and what the pods hold. A schema, no behaviour.
// A report that cannot be had is unknown, never zero.
import { z } from 'zod';
import { serverState } from '../server/contract.ts';

export const modelDemand = z.object({
  /** "<namespace>/<name>" */
  model: z.string(),
  /** Requests sent to a pod and not answered yet. */
  inFlight: z.int().min(0),
  /** Requests that wait for a pod. */
  held: z.int().min(0),
  /** ISO time of the last arrival or end of a request; null since this gateway started. */
  lastActivity: z.string().nullable(),
});
export type ModelDemand = z.output<typeof modelDemand>;

export const podState = z.object({
  /** Pod name, or the address where there are no pods. */
  pod: z.string(),
  /** "<namespace>/<pool>" */
  pool: z.string(),
  state: serverState,
});
export type PodState = z.output<typeof podState>;

/** `GET /demand` on a gateway's admin port. Models that were never asked for are left out. */
export const demandReport = z.object({
  gateway: z.string(),
  models: z.array(modelDemand),
  pods: z.array(podState),
});
export type DemandReport = z.output<typeof demandReport>;
