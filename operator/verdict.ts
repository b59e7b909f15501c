// May this model be served at all, and in which pool? A chain of checks on the spec; the first that fails is told. Pure.
import type { GPUClass } from '../crds/gpu-class.ts';
import type { ReferenceModel } from '../crds/reference-model.ts';
import { classOf, objectKey, type PoolKey, poolName, poolWithoutClass } from './pool.ts';

/** One PascalCase word, as in a condition, and a sentence for a person. */
export interface Problem {
  reason: string;
  message: string;
}

export type Verdict =
  | { problem: undefined; gpuClass: GPUClass; pool: PoolKey }
  /** With a pool, its class is gone: what there is of the pool stays. */
  | { problem: Problem; gpuClass?: undefined; pool?: PoolKey };

type Check = (model: ReferenceModel) => Problem | undefined;

const checks: readonly Check[] = [
  function fidelity({ spec }) {
    if (!spec.fidelity || spec.quantization === 'None' || spec.task !== 'Reward') return undefined;
    return {
      reason: 'UnsupportedFidelity',
      message:
        'spec.fidelity: scores of a reward model have no KL divergence, so it cannot keep to maxKL',
    };
  },
];

/** What in the spec alone keeps this version from serving the model. */
export function refusal(model: ReferenceModel): Problem | undefined {
  for (const check of checks) {
    const problem = check(model);
    if (problem) return problem;
  }
  return undefined;
}

export function judge(model: ReferenceModel, classes: readonly GPUClass[]): Verdict {
  const problem = refusal(model);
  if (problem) return { problem };
  const found = classOf(model, classes);
  if (!('gpuClass' in found)) {
    const isGone = found.reason !== 'NoClassFits';
    return { problem: found, ...(isGone && { pool: poolWithoutClass(model) }) };
  }
  const { metadata, spec } = found.gpuClass;
  if (spec.executionProvider === 'WebGPU') {
    const message = `GPUClass "${metadata.name}": this version computes on CPU and CUDA, not on WebGPU`;
    return { problem: { reason: 'UnsupportedProvider', message } };
  }
  const name = poolName(model, metadata.name);
  const pool = objectKey(model.metadata.namespace, name);
  return { problem: undefined, gpuClass: found.gpuClass, pool };
}
