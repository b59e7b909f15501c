// What a GPUClass tells the servers that run on it. Pure.
import { quantityValue } from '../crds/common.ts';
import type { GPUClassSpec } from '../crds/gpu-class.ts';

/** Settings of the server, by their names. */
export function classSettings(spec: GPUClassSpec): Record<string, string> {
  const { executionProvider, maxModels } = spec;
  const memory = String(Math.floor(quantityValue(spec.memory)));
  return {
    REFMODEL_EXECUTION_PROVIDER: executionProvider,
    REFMODEL_MAX_MODELS: String(maxModels),
    // What little a pod with a GPU keeps in the memory of its machine is bounded by what the container may use.
    ...(executionProvider === 'CUDA'
      ? { REFMODEL_DEVICE_MEMORY_BYTES: memory }
      : { REFMODEL_MEMORY_BYTES: memory }),
  };
}
