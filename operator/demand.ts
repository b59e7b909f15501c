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

export const podTraffic = z.object({
  pod: z.string(),
  /** "<namespace>/<pool>" */
  pool: z.string(),
  inFlight: z.int().min(0),
});
export type PodTraffic = z.output<typeof podTraffic>;

/** `GET /demand` on a gateway's admin port. Models that were never asked for are left out. */
export const demandReport = z.object({
  gateway: z.string(),
  models: z.array(modelDemand),
  pods: z.array(podState),
  /** Every pod that requests may be sent to, or that has one. What no gateway names can go. */
  traffic: z.array(podTraffic),
});
export type DemandReport = z.output<typeof demandReport>;
