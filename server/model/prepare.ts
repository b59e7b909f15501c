// Everything before memory is taken: finds the checkpoint, checks it, identifies it and converts it.
// Runs in the runner process, so that hashing and converting never hold up the front.
import { AppError } from '../../common/errors.ts';
import type { CatalogModel } from '../contract.ts';
import { describeModel } from '../onnx/arch/registry.ts';
import { encodeModel } from '../onnx/encode.ts';
import { type ConvertedTensor, convertedTensors } from './artifact.ts';
import { digestFiles } from './digest.ts';
import type { Prepared } from './protocol.ts';
import { readCheckpoint, type VolumePath } from './source.ts';
import { countParameters, requireTensors } from './tensors.ts';
import { modelWeights, weightBytes } from './weights.ts';

const revisionLength = 12;

export interface PreparedModel {
  readonly summary: Prepared;
  /** ONNX ModelProto whose weights lie in files. */
  readonly encode: () => Uint8Array;
}

const quantizations = ['None', 'Int8'] as const;
export type SupportedQuantization = (typeof quantizations)[number];

/** What this version loads. Throws UNSUPPORTED_SOURCE, UNSUPPORTED_TASK or UNSUPPORTED_QUANTIZATION. */
export function supported(model: CatalogModel): {
  source: VolumePath;
  quantization: SupportedQuantization;
} {
  const { volume } = model.source;
  if (!volume)
    throw refused('UNSUPPORTED_SOURCE', model, 'only persistentVolumeClaim is supported');
  if (model.task === 'Reward') {
    throw refused('UNSUPPORTED_TASK', model, 'task "Reward" is not supported, only LogProbs');
  }
  const quantization = quantizations.find((name) => name === model.quantization);
  if (!quantization) {
    const problem = `"${model.quantization}" is not supported, only ${quantizations.join(', ')}`;
    throw refused('UNSUPPORTED_QUANTIZATION', model, problem);
  }
  return { source: volume, quantization };
}

const refused = (
  code: 'UNSUPPORTED_SOURCE' | 'UNSUPPORTED_TASK' | 'UNSUPPORTED_QUANTIZATION',
  { name }: CatalogModel,
  problem: string,
) => new AppError(code, `loading ${name}: ${problem}`);

/** Throws AppError with the code of what is wrong with the model or the cache folder. */
export async function prepareModel(
  model: CatalogModel,
  cacheDir: string,
  signal: AbortSignal,
): Promise<PreparedModel> {
  const startedAt = performance.now();
  const { source, quantization } = supported(model);
  const checkpoint = await readCheckpoint(source, signal);
  const blueprint = describeModel(checkpoint.config);
  const tensors = requireTensors(blueprint.tensors, checkpoint.tensors);
  const digest = await digestFiles(checkpoint.files, cacheDir, signal);
  const matrixNames = new Set(
    blueprint.tensors.filter(({ role }) => role === 'Matrix').map(({ name }) => name),
  );
  const matrices = new Map([...tensors].filter(([name]) => matrixNames.has(name)));
  const converted: ReadonlyMap<string, ConvertedTensor> =
    quantization === 'Int8'
      ? await convertedTensors({ cacheDir, digest, matrices }, signal)
      : new Map();
  const summary: Prepared = {
    folder: checkpoint.folder,
    vocabularySize: blueprint.vocabularySize,
    weightBytes: weightBytes(blueprint.tensors, tensors, converted),
    convertSeconds: (performance.now() - startedAt) / 1000,
    identity: {
      revision: digest.slice('sha256:'.length).slice(0, revisionLength),
      digest,
      architecture: blueprint.architecture,
      quantization,
      task: 'LogProbs',
      parameters: countParameters(tensors),
      contextTokens: blueprint.contextTokens,
    },
  };
  const weights = modelWeights(tensors, converted);
  return { summary, encode: () => encodeModel(blueprint.graph(weights, model.maxSequenceTokens)) };
}
