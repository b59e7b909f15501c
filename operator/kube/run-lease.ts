// The lease of a run as a Lease object in the namespace of the gateways, so that it outlives every process
// (docs/adr/0009-run-leases.md). Pure.
import { createHash } from 'node:crypto';
import { group } from '../../crds/reference-model.ts';
import { isCurrent, type RunLease } from '../lease.ts';
import { labelNames, managedBy } from '../pool.ts';
import { microTime } from './leader.ts';
import type { Lease } from './resources.ts';

const labels = {
  [labelNames.managedBy]: managedBy,
  [labelNames.component]: 'run-lease',
};
export const leaseSelector = Object.entries(labels)
  .map(([name, value]) => `${name}=${value}`)
  .join(',');

/** Begins the name of every such object: the right to write them is bound to it. */
export const leasePrefix = 'refmodel-run-';
const modelsAnnotation = `${group}/models`;

/** Runs are called what their owners like; names of objects are not. */
export const leaseName = (run: string): string =>
  leasePrefix + createHash('sha256').update(run).digest('hex').slice(0, 16);

export function leaseObject({ run, models, expiresAt }: RunLease, now: number): Lease {
  return {
    metadata: {
      name: leaseName(run),
      labels,
      annotations: { [modelsAnnotation]: [...models].sort().join(',') },
    },
    spec: {
      holderIdentity: run,
      leaseDurationSeconds: Math.ceil((expiresAt - now) / 1000),
      renewTime: microTime(now),
    },
  };
}

/** Undefined for an object that says not enough: it leases nothing. */
export function runLease({ metadata, spec }: Lease): RunLease | undefined {
  const { holderIdentity: run, renewTime, leaseDurationSeconds: seconds } = spec ?? {};
  if (!run || !renewTime || !seconds) return undefined;
  const models = metadata?.annotations?.[modelsAnnotation]?.split(',').filter(Boolean) ?? [];
  return { run, models, expiresAt: Date.parse(renewTime) + seconds * 1000 };
}

export const currentLeases = (objects: readonly Lease[], now: number): RunLease[] =>
  objects
    .flatMap((object) => runLease(object) ?? [])
    .filter((lease) => isCurrent(lease, now))
    .sort((a, b) => (a.run < b.run ? -1 : 1));
