// The 4-bit matrices of one layer, each rounded so that the errors of its columns make up for each other on a text:
// see quant/gptq.ts.
import type { FileHandle } from 'node:fs/promises';
import { allocateBlocks } from '../../quant/blocks.ts';
import { calibrate, followDrift, roundCompensated } from '../../quant/gptq.ts';
import type { Multiply } from '../../quant/matrix.ts';
import type { Meter } from '../progress.ts';
import type { PlacedTensor } from './artifact.ts';
import type { Observed } from './forward.ts';
import type { PlannedTensor } from './plan.ts';
import type { Quantizer } from './quantizer.ts';
import { readMatrix, writeBlocks } from './tensor.ts';

export interface CompensationTools {
  readonly multiply: Multiply;
  readonly quantizer: Pick<Quantizer, 'roundTile'>;
  readonly meter: Pick<Meter, 'add'>;
}

/** A tensor and its place in the converted file. */
export interface Job {
  readonly tensor: PlannedTensor;
  readonly placed: PlacedTensor;
}

/** Writes those of `jobs` that become 4 bits and were observed, and gives their names. Takes `observed` over. */
export async function compensateLayer(
  file: FileHandle,
  { jobs, observed }: { jobs: readonly Job[]; observed: readonly Observed[] },
  { multiply, quantizer, meter }: CompensationTools,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const done = new Set<string>();
  for (const { layers, ...inputs } of observed) {
    const names = new Set(layers.map(({ name }) => `${name}.weight`));
    const group = jobs.filter(({ tensor }) => tensor.format === 'Int4' && names.has(tensor.name));
    if (group.length === 0) continue;
    const calibration = await calibrate(inputs, multiply, signal);
    for (const { tensor, placed } of group) {
      if (placed.format !== 'Int4') continue;
      const weights = await readMatrix(tensor, signal);
      await followDrift(weights, calibration, multiply, signal);
      const into = allocateBlocks(tensor.rows, tensor.columns, 4);
      const { roundTile } = quantizer;
      await roundCompensated({ weights, into }, calibration, { multiply, roundTile }, signal);
      await writeBlocks(file, placed, { ...into, row: 0 });
      meter.add(tensor.source.data.length);
      done.add(tensor.name);
    }
  }
  return done;
}
