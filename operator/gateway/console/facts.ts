// What the console is made from, and single facts of a model in it. Pure.
import { errorKinds, isErrorCode } from '../../../common/errors.ts';
import type { ReferenceModel } from '../../../crds/reference-model.ts';
import type { ModelState } from '../../../server/contract.ts';
import type { DemandReport } from '../../demand.ts';
import type { RunLease } from '../../lease.ts';
import type { ModelKey, PoolKey } from '../../pool.ts';
import type { GatewayModel } from '../backend.ts';
import type { ColdStart } from './contract.ts';

export interface ConsoleSnapshot {
  report: DemandReport;
  models: ReadonlyMap<ModelKey, GatewayModel>;
  /** As they were declared, with what the operator says of them. */
  objects: readonly ReferenceModel[];
  leases: readonly RunLease[];
  /** Requests that wait for a model, by caller. */
  waiting: (model: ModelKey) => { caller: string; requests: number }[];
  /** Why a pool does not become ready. */
  trouble: (pool: PoolKey) => string | undefined;
}

/** A pod that has something to say of a model. */
export interface Holding {
  pod: string;
  state: ModelState;
}

/** All that is known of one model. */
export interface ModelSources {
  model: GatewayModel;
  /** Undefined for an object that this version cannot read. */
  object: ReferenceModel | undefined;
  held: readonly Holding[];
  demand: DemandReport['models'][number] | undefined;
  snapshot: ConsoleSnapshot;
}

/** Repository of the hub, or claim and folder. */
export function sourceOf({ spec }: ReferenceModel): string {
  const { huggingFace, persistentVolumeClaim: claim } = spec.model;
  return huggingFace?.repo ?? [claim?.claimName, claim?.path].filter(Boolean).join('/');
}

const phases = ['schedule', 'image', 'download', 'convert', 'load'] as const;

/** The operator tells of the pod too; where there is none, what the server measured. */
export function coldStartOf(
  object: ReferenceModel | undefined,
  resident: ModelState | undefined,
): ColdStart | undefined {
  const told = object?.status?.coldStart;
  const coldStart: ColdStart = {};
  for (const phase of phases) {
    const text = told?.[phase];
    if (text !== undefined) coldStart[phase] = Number(text);
  }
  if (!told && resident?.seconds) Object.assign(coldStart, resident.seconds);
  return Object.keys(coldStart).length === 0 ? undefined : coldStart;
}

/** What to do about an error code, if it is one. */
export const remedyOf = (code: string): { remedy?: string } =>
  isErrorCode(code) ? { remedy: errorKinds[code].remedy } : {};
