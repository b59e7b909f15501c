// Everything before memory is taken: finds the checkpoint, checks it, identifies it and converts it.
// Runs in the runner process, so that hashing and converting never hold up the front.
import { createHash } from 'node:crypto';
import { type FileHandle, readlink } from 'node:fs/promises';
import { AppError } from '../../common/errors.ts';
import { type CatalogModel, hubReference } from '../contract.ts';
import type { Blueprint } from '../onnx/arch/blueprint.ts';
import { pageTokensOf } from '../onnx/arch/decoder.ts';
import { describeModel } from '../onnx/arch/registry.ts';
import type { Weights } from '../onnx/blocks/weights.ts';
import type { Provider, Target } from '../onnx/target.ts';
import { bytesPerNumber } from '../quant/decode.ts';
import { chunkRowsFor } from './batch/pack.ts';
import { digestFiles } from './checkpoint/digest.ts';
import { labelNames } from './checkpoint/labels.ts';
import { type Origin, type OriginOptions, openOrigin } from './checkpoint/origin.ts';
import { type Checkpoint, readCheckpoint, readConfig } from './checkpoint/source.ts';
import { storedType } from './checkpoint/stored-type.ts';
import {
  countParameters,
  type FloatTensor,
  requireTensors,
  storedBytes,
} from './checkpoint/tensors.ts';
import { type Artifact, layOutArtifact, openArtifact } from './convert/artifact.ts';
import { convert } from './convert/convert.ts';
import { type Fidelity, readFidelity } from './convert/fidelity.ts';
import { formatsOf, planTensors, type Quantization } from './convert/plan.ts';
import { readingsFor } from './convert/probe.ts';
import { estimateBytes } from './estimate.ts';
import { Meter } from './progress.ts';
import type { Description, Prepared } from './protocol.ts';
import { targetFor } from './target.ts';
import { artifactBytes, artifactWeights, checkpointWeights, wholeBytes } from './weights.ts';

/** Change it with every change of the bytes: old files are then left to the LRU and new ones made. */
const recipe = 'refmodel 4';
const revisionLength = 12;

export interface PrepareOptions extends OriginOptions {
  readonly threads: number;
  readonly provider: Provider;
}

export interface PreparedModel {
  readonly summary: Prepared;
  readonly blueprint: Blueprint;
  readonly target: Target;
  readonly weights: Weights;
  /** Positions whose logits are in memory at once. */
  readonly maxChunkRows: number;
}

/** What `model` will take, before its weights are fetched, hashed or converted. Throws as prepareModel. */
export async function describeSize(
  model: CatalogModel,
  options: OriginOptions & { readonly provider: Provider },
  signal: AbortSignal,
): Promise<Description> {
  const { source, commit } = await openOrigin(model, options, signal);
  const { config } = await readConfig(source);
  const blueprint = blueprintFor(model, config);
  const sources = commit
    ? new Map<string, FloatTensor>()
    : requireTensors(blueprint.tensors, (await readCheckpoint(source, signal)).tensors);
  const stored = { sources, numberBytes: bytesPerNumber[storedType(config)] };
  const { quantization, maxBatchTokens } = model;
  const maxSequenceTokens = Math.min(model.maxSequenceTokens, blueprint.contextTokens);
  const target = targetOf(model, config, options.provider);
  const serving = { quantization, maxBatchTokens, maxSequenceTokens, target };
  return { estimate: estimateBytes(blueprint, stored, serving) };
}

/** Throws AppError with the code of what is wrong with the model, its source or the cache folder. */
export async function prepareModel(
  model: CatalogModel,
  options: PrepareOptions,
  signal: AbortSignal,
): Promise<PreparedModel> {
  const origin = await openOrigin(model, options, signal);
  const { config } = await readConfig(origin.source);
  const blueprint = blueprintFor(model, config);
  const target = targetOf(model, config, options.provider);
  const work = { model, origin, blueprint, target, options };
  const found = await (model.quantization === 'None'
    ? prepareWhole(work, signal)
    : prepareConverted(work, signal));
  assertFidelity(model, found.fidelity);
  const { digest, fidelity } = found;
  const { huggingFace } = model.source;
  const { vocabularySize } = blueprint;
  const { provider } = target;
  const { maxBatchTokens } = model;
  return {
    blueprint,
    target,
    weights: found.weights,
    maxChunkRows: chunkRowsFor({ vocabularySize, provider, maxBatchTokens }),
    summary: {
      folder: origin.source,
      vocabularySize,
      hiddenSize: blueprint.decoder.hidden,
      pageTokens: pageTokensOf(blueprint.decoder, target),
      labels: labelNames(config, blueprint.labels ?? 0),
      weightBytes: found.weightBytes,
      entries: found.entries,
      isConverted: found.isConverted ?? false,
      ...(fidelity && { fidelity: reported(fidelity, blueprint) }),
      identity: {
        revision: origin.commit ?? digest.slice('sha256:'.length).slice(0, revisionLength),
        digest,
        architecture: blueprint.architecture,
        quantization: model.quantization,
        task: blueprint.task,
        parameters: countParameters(blueprint.tensors),
        contextTokens: blueprint.contextTokens,
        ...(huggingFace && { resolvedFrom: hubReference(huggingFace) }),
      },
    },
  };
}

const targetOf = ({ dtype: asked }: CatalogModel, config: unknown, provider: Provider): Target =>
  targetFor(provider, { asked, stored: storedType(config) });

type NamedBlueprint = Blueprint & { readonly architecture: string };

function blueprintFor(model: CatalogModel, config: unknown): NamedBlueprint {
  const { name, task, quantization, maxKL } = model;
  const blueprint = describeModel(config);
  const does = `${blueprint.architecture} does ${blueprint.task}`;
  if (task && task !== blueprint.task) {
    throw new AppError('UNSUPPORTED_TASK', `loading ${name}: spec.task is ${task}, but ${does}`);
  }
  if (maxKL !== undefined && quantization !== 'None' && blueprint.task === 'Reward') {
    const problem = `spec.fidelity.maxKL is about log-probabilities, but ${does}`;
    throw new AppError('UNSUPPORTED_TASK', `loading ${name}: ${problem}`);
  }
  return blueprint;
}

interface Work {
  readonly model: CatalogModel;
  readonly origin: Origin;
  readonly blueprint: NamedBlueprint;
  readonly target: Target;
  readonly options: PrepareOptions;
}

interface Found {
  readonly digest: string;
  readonly weights: Weights;
  readonly weightBytes: number;
  /** Of the cache folder: files that must stay while the model is loaded. */
  readonly entries: readonly string[];
  readonly isConverted?: boolean;
  readonly fidelity?: Fidelity;
}

/** The checkpoint is read in place. */
async function prepareWhole(work: Work, signal: AbortSignal): Promise<Found> {
  const { origin, blueprint, target, options } = work;
  const { checkpoint, sources } = await openWeights(work, signal);
  const meter = new Meter('Converting', storedBytes(sources), options.report);
  const digest = await identify(work, { checkpoint, meter }, signal);
  meter.finish();
  return {
    digest,
    weights: checkpointWeights(sources),
    weightBytes: wholeBytes(blueprint, sources, target),
    entries: origin.commit ? [origin.source.root] : [],
  };
}

/** The converted file is made when there is none; when there is one, weights on the hub need not be fetched. */
async function prepareConverted(work: Work, signal: AbortSignal): Promise<Found> {
  const { origin, blueprint, model, target, options } = work;
  const opened = origin.digest ? undefined : await openWeights(work, signal);
  const total = opened ? 2 * storedBytes(opened.sources) : 0; // what is converted is read twice
  const meter = new Meter('Converting', total, options.report);
  const digest = opened
    ? await identify(work, { checkpoint: opened.checkpoint, meter }, signal)
    : (origin.digest ?? '');
  const file = options.store.fileOf(keyOf(model.quantization, digest));
  await options.keep(file);
  const there = await openArtifact(file, blueprint.tensors, signal);
  const artifact = there ?? (await make(work, { opened, digest, file }, signal));
  meter.finish();
  return {
    digest,
    weights: artifactWeights(artifact),
    weightBytes: artifactBytes(artifact, formatsOf(blueprint, model.quantization), target),
    entries: [file],
    isConverted: !there,
    fidelity: await readFidelity(artifact.fidelity),
  };
}

async function make(
  work: Work,
  made: { opened: Opened | undefined; digest: string; file: string },
  signal: AbortSignal,
): Promise<Artifact> {
  const { blueprint, model, options, origin } = work;
  const { sources } = made.opened ?? (await openWeights(work, signal));
  const meter = new Meter('Converting', 2 * storedBytes(sources), options.report);
  meter.add(storedBytes(sources)); // read for its digest, here or by the hub
  const plan = planTensors(blueprint, sources, model.quantization);
  const metadata = { recipe, quantization: model.quantization, source: made.digest };
  const { size } = layOutArtifact(made.file, plan, metadata);
  const readings = await readingsFor(origin.source, blueprint);
  const request = {
    bytes: size,
    isWhole: async (file: string) =>
      (await openArtifact(file, blueprint.tensors, signal)) !== undefined,
    make: async (handle: FileHandle, signal: AbortSignal) => {
      const written = await readlink(`/proc/self/fd/${handle.fd}`);
      const layout = layOutArtifact(written, plan, metadata);
      const { threads } = options;
      await convert(handle, { blueprint, sources, plan, layout, readings, threads, meter }, signal);
    },
  };
  const { store } = options;
  const { file } = await store.obtain(keyOf(model.quantization, made.digest), request, signal);
  const artifact = await openArtifact(file, blueprint.tensors, signal);
  if (!artifact) throw new AppError('INTERNAL', `${file} is not what was written`);
  return artifact;
}

interface Opened {
  readonly checkpoint: Checkpoint;
  readonly sources: ReadonlyMap<string, FloatTensor>;
}

async function openWeights({ origin, blueprint }: Work, signal: AbortSignal): Promise<Opened> {
  await origin.fetchWeights(signal);
  const checkpoint = await readCheckpoint(origin.source, signal);
  return { checkpoint, sources: requireTensors(blueprint.tensors, checkpoint.tensors) };
}

const identify = (
  { options: { cacheDir } }: Work,
  { checkpoint, meter }: { checkpoint: Checkpoint; meter: Meter },
  signal: AbortSignal,
): Promise<string> => digestFiles(checkpoint.files, { cacheDir, onBytes: meter.add }, signal);

const keyOf = (quantization: Quantization, digest: string): string =>
  createHash('sha256').update(`${recipe} ${quantization}\n${digest}`).digest('hex');

/** Scores of a reward model have no divergence. */
const reported = ({ kl, ...deltas }: Fidelity, { task }: Blueprint): Prepared['fidelity'] =>
  task === 'Reward' ? deltas : { kl, ...deltas };

/** Fails closed: a figure that is no number is too low. */
function assertFidelity({ name, maxKL }: CatalogModel, fidelity: Fidelity | undefined): void {
  if (!fidelity) return;
  const { kl, meanAbsDelta, maxAbsDelta } = fidelity;
  const isKnown = [kl, meanAbsDelta, maxAbsDelta].every(Number.isFinite);
  if (isKnown && kl <= (maxKL ?? kl)) return;
  const figures = `mean KL divergence ${kl.toPrecision(3)}, mean difference ${meanAbsDelta.toPrecision(3)}`;
  const bound = maxKL === undefined ? '' : `, maxKL is ${maxKL}`;
  throw new AppError('FIDELITY_TOO_LOW', `loading ${name}: from its checkpoint ${figures}${bound}`);
}
