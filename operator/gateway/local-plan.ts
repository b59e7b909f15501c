// Manifests and folders → the pools that this machine serves. Pure.
import { z } from 'zod';
import { AppError } from '../../common/errors.ts';
import { durationMs } from '../../crds/common.ts';
import { defaultClassAnnotation, type GPUClass, gpuClass } from '../../crds/gpu-class.ts';
import { apiVersion, type ReferenceModel, sampleAnnotation } from '../../crds/reference-model.ts';
import type { Catalog } from '../../server/contract.ts';
import { buildCatalog, type Places } from '../catalog.ts';
import { classSettings } from '../class-settings.ts';
import { modelKey, type PoolKey } from '../pool.ts';
import { judge } from '../verdict.ts';
import type { LocalModel } from './backend/local.ts';
import { holdOf } from './backend/view.ts';

export interface LocalPlan {
  models: LocalModel[];
  pools: Map<PoolKey, LocalPoolPlan>;
}

export interface LocalPoolPlan {
  catalog: Catalog;
  /** Of the server, as its class decides them. */
  settings: Readonly<Record<string, string>>;
}

/** Claim name → folder. */
export type Volumes = ReadonlyMap<string, string>;

/** The class of models when no manifest brings one. */
export const builtInClass: GPUClass = gpuClass.parse({
  apiVersion,
  kind: 'GPUClass',
  metadata: { name: 'cpu', annotations: { [defaultClassAnnotation]: 'true' } },
  spec: { executionProvider: 'CPU', memory: '4Gi', maxModels: 2 },
});

/**
 * Throws MANIFEST_INVALID for a model that cannot be served, or whose class does not exist, and
 * CONFIGURATION_INVALID for a claim without a folder.
 */
export function planLocal(
  models: readonly ReferenceModel[],
  given: readonly GPUClass[],
  volumes: Volumes,
): LocalPlan {
  const classes = given.length > 0 ? given : [builtInClass];
  const members = new Map<PoolKey, { gpuClass: GPUClass; models: ReferenceModel[] }>();
  const planned = models.map((model) => {
    const { problem, pool, gpuClass } = judge(model, classes);
    if (problem) {
      const message = `ReferenceModel ${modelKey(model)}: ${problem.message}`;
      throw new AppError('MANIFEST_INVALID', message);
    }
    assertAnonymous(model);
    assertFolder(model, volumes);
    const member = members.get(pool) ?? { gpuClass, models: [] };
    member.models.push(model);
    members.set(pool, member);
    return localModel(model, pool, gpuClass);
  });
  const places: Places = {
    claim: (name) => volumes.get(name) ?? '',
    secret: () => undefined, // HF_TOKEN stands for all
  };
  const pools = [...members].map(([key, { gpuClass, models }]): [PoolKey, LocalPoolPlan] => [
    key,
    {
      catalog: buildCatalog(models, places),
      settings: classSettings(gpuClass.spec),
    },
  ]);
  return { models: planned, pools: new Map(pools) };
}

function localModel(model: ReferenceModel, pool: PoolKey, { spec }: GPUClass): LocalModel {
  const { scaling, limits } = model.spec;
  const { minReplicas, maxReplicas, concurrency, idleTimeout } = scaling;
  return {
    key: modelKey(model),
    pool,
    acceptance: { state: 'Accepted' },
    access: 'Anonymous',
    hasLarger: false, // nobody moves models here
    concurrency,
    hold: holdOf(model.spec),
    maxSequenceTokens: limits.maxSequenceTokens,
    maxModels: spec.maxModels,
    scaling: { minReplicas, maxReplicas, concurrency, idleTimeoutMs: durationMs(idleTimeout) },
  };
}

/** Ids below 256 are in every vocabulary that we know of. */
const anyTokens = [1, 72, 101, 108, 108, 111];
const tokens = z.array(z.int().min(0)).min(1).max(64);

/** Token ids for a line that a person can paste. Throws MANIFEST_INVALID for an annotation that holds no ids. */
export function sampleTokens(model: ReferenceModel): number[] {
  const text = model.metadata.annotations[sampleAnnotation];
  if (text === undefined) return anyTokens;
  try {
    return tokens.parse(JSON.parse(text));
  } catch (cause) {
    const message = `ReferenceModel ${modelKey(model)}: annotation ${sampleAnnotation}: not a JSON list of token ids`;
    throw new AppError('MANIFEST_INVALID', message, { cause });
  }
}

/** Whom a token belongs to, only an API server can tell. */
function assertAnonymous(model: ReferenceModel): void {
  if (model.spec.access === 'Anonymous') return;
  throw new AppError(
    'MANIFEST_INVALID',
    `ReferenceModel ${modelKey(model)}: spec.access: ${model.spec.access} needs a cluster, which tells whose a token is; on one machine only Anonymous is served`,
  );
}

function assertFolder(model: ReferenceModel, volumes: Volumes): void {
  const claim = model.spec.model.persistentVolumeClaim?.claimName;
  if (claim === undefined || volumes.has(claim)) return;
  throw new AppError(
    'CONFIGURATION_INVALID',
    `ReferenceModel ${modelKey(model)} reads the claim "${claim}": say which folder that is with --volume ${claim}=DIR`,
  );
}
