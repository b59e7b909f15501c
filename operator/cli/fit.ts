// Will a model fit its class? By the same code that admits it in a pod: a checkpoint on a volume is read as far as its
// headers, of one on the hub config.json is fetched.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../common/clock.ts';
import { AppError, toAppError } from '../../common/errors.ts';
import { quantityValue } from '../../crds/common.ts';
import type { GPUClassSpec } from '../../crds/gpu-class.ts';
import type { Quantization, ReferenceModel } from '../../crds/reference-model.ts';
import type { HubSettings } from '../../server/model/hub/settings.ts';
import { describeSize } from '../../server/model/prepare.ts';
import { Store } from '../../server/model/store/store.ts';
import { catalogModel } from '../catalog.ts';

export interface Fit {
  /** Bytes of the memory that the class bounds: of the GPU with CUDA, else of the machine. */
  needs: number;
  has: number;
  fits: boolean;
  /** How it was found. */
  by: 'checkpoint' | 'parameters';
}

export type FitClass = Pick<GPUClassSpec, 'executionProvider' | 'memory'>;

export interface FitOptions {
  gpuClass: FitClass;
  volumes: ReadonlyMap<string, string>;
  hub: HubSettings;
  /** Instead of a checkpoint. */
  parameters?: number;
}

/** Bytes a parameter, from docs/capacity.md; the work of a pass on a GPU is not in it. */
const perParameter: Record<'CPU' | 'CUDA', Record<Quantization, number>> = {
  CPU: { None: 4, Int8: 1.125, Int4: 0.7, NF4: 0.65 },
  CUDA: { None: 2, Int8: 1.0625, Int4: 0.62, NF4: 0.65 },
};
/** Of the process and one pass at the default limits, at least. */
const gpuWork = 4 * 2 ** 30;

/** Throws the error that a pod would report. */
export async function fitOf(
  model: ReferenceModel,
  options: FitOptions,
  signal: AbortSignal,
): Promise<Fit> {
  const { gpuClass, parameters } = options;
  const has = Math.floor(quantityValue(gpuClass.memory));
  const needs =
    parameters === undefined
      ? await ofCheckpoint(model, options, signal)
      : ofParameters(parameters, model.spec.quantization, providerOf(gpuClass));
  return { needs, has, fits: needs <= has, by: parameters ? 'parameters' : 'checkpoint' };
}

const providerOf = ({ executionProvider }: FitClass) =>
  executionProvider === 'CUDA' ? 'CUDA' : 'CPU';

export function ofParameters(
  parameters: number,
  quantization: Quantization,
  provider: 'CPU' | 'CUDA',
): number {
  const weights = Math.ceil(parameters * perParameter[provider][quantization]);
  return provider === 'CUDA' ? weights + gpuWork : weights;
}

async function ofCheckpoint(
  model: ReferenceModel,
  { gpuClass, volumes, hub }: FitOptions,
  signal: AbortSignal,
): Promise<number> {
  const claim = model.spec.model.persistentVolumeClaim?.claimName;
  if (claim !== undefined && !volumes.has(claim)) {
    const what = `the claim "${claim}" is not here: say which folder it is with --volume ${claim}=DIR, or --parameters`;
    throw new AppError('MODEL_FILES_MISSING', what);
  }
  const places = { claim: (name: string) => volumes.get(name) ?? '', secret: () => undefined };
  const provider = providerOf(gpuClass);
  const cacheDir = join(tmpdir(), 'refmodel-check');
  const { estimate } = await describeSize(
    catalogModel(model, places),
    {
      cacheDir,
      store: new Store({ dir: cacheDir, clock: systemClock }),
      hub,
      report: () => {},
      keep: async () => {},
      provider,
    },
    signal,
  );
  return provider === 'CUDA' ? estimate.device : estimate.host;
}

/** "8B", "1.5b", "270M", "3000000": a number of parameters. */
export function parameterCount(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)([kmbt]?)$/i.exec(text) ?? [];
  const scale = { '': 1, k: 1e3, m: 1e6, b: 1e9, t: 1e12 }[unit.toLowerCase()];
  return digits === undefined || scale === undefined ? undefined : Number(digits) * scale;
}

export const reasonOf = (err: unknown): { code: string; message: string } => {
  const { code, message } = toAppError(err);
  return { code, message };
};
