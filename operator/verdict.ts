// May this model be served at all, and in which pool? A chain of checks on the spec; the first that fails is told. Pure.
import type { GPUClass } from '../crds/gpu-class.ts';
import type { Quantization, ReferenceModel } from '../crds/reference-model.ts';
import { classOf, objectKey, type PoolKey, poolName } from './pool.ts';

/** One PascalCase word, as in a condition, and a sentence for a person. */
export interface Problem {
  reason: string;
  message: string;
}

export type Verdict =
  | { problem: undefined; gpuClass: GPUClass; pool: PoolKey }
  | { problem: Problem; gpuClass?: undefined; pool?: undefined };

const quantizations: readonly Quantization[] = ['None', 'Int8'];

type Check = (model: ReferenceModel) => Problem | undefined;

const checks: readonly Check[] = [
  function source({ spec }) {
    if (spec.model.persistentVolumeClaim) return undefined;
    return {
      reason: 'UnsupportedSource',
      message: 'spec.model: this version loads from persistentVolumeClaim only',
    };
  },
  function task({ spec }) {
    if (spec.task !== 'Reward') return undefined;
    return { reason: 'UnsupportedTask', message: 'spec.task: this version does LogProbs only' };
  },
  function quantization({ spec }) {
    if (quantizations.includes(spec.quantization)) return undefined;
    return {
      reason: 'UnsupportedQuantization',
      message: `spec.quantization: this version does ${quantizations.join(' and ')}, not ${spec.quantization}`,
    };
  },
  function access({ spec }) {
    if (spec.access === 'Anonymous') return undefined;
    return {
      reason: 'UnsupportedAccess',
      message: 'spec.access: this version cannot tell callers apart, so it serves Anonymous only',
    };
  },
  function fidelity({ spec }) {
    if (!spec.fidelity || spec.quantization === 'None') return undefined;
    return {
      reason: 'UnsupportedFidelity',
      message: 'spec.fidelity: this version does not measure it, so it cannot keep to maxKL',
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
  if (!('gpuClass' in found)) return { problem: found };
  const { metadata, spec } = found.gpuClass;
  if (spec.executionProvider !== 'CPU') {
    const message = `GPUClass "${metadata.name}": this version computes on CPU only, not on ${spec.executionProvider}`;
    return { problem: { reason: 'UnsupportedProvider', message } };
  }
  const name = poolName(model, metadata.name);
  const pool = objectKey(model.metadata.namespace, name);
  return { problem: undefined, gpuClass: found.gpuClass, pool };
}
