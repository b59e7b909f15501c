// Writes a converted model layer by layer, with rows of text running through both models beside it: some decide how
// weights are rounded, others tell in the end how far the two are apart. At no time is more than one layer in memory.
import type { FileHandle } from 'node:fs/promises';
import type { Blueprint } from '../../onnx/arch/blueprint.ts';
import { segmentNames } from '../../onnx/arch/segments.ts';
import type { Layout } from '../checkpoint/safetensors.ts';
import type { FloatTensor } from '../checkpoint/tensors.ts';
import { writeFully } from '../disk.ts';
import type { Meter } from '../progress.ts';
import { artifactWeights, checkpointWeights } from '../weights.ts';
import { artifactOf } from './artifact.ts';
import { compensateLayer, type Job } from './compensate.ts';
import { compare, type Fidelity, fidelityBytes } from './fidelity.ts';
import { Forward, type Observed, passagesOf } from './forward.ts';
import { openMultiplier } from './multiply.ts';
import type { PlannedTensor } from './plan.ts';
import type { Readings } from './probe.ts';
import { openQuantizer } from './quantizer.ts';
import { convertTensor } from './tensor.ts';

export interface Conversion {
  readonly blueprint: Blueprint;
  readonly sources: ReadonlyMap<string, FloatTensor>;
  readonly plan: readonly PlannedTensor[];
  /** Of the file that is being written: its tensors name that file. */
  readonly layout: Layout;
  /** What both models read. */
  readonly readings: Readings;
  readonly threads: number;
  readonly meter: Pick<Meter, 'add'>;
}

/** Fills `file`. Throws WEIGHTS_CORRUPT, OUT_OF_MEMORY, LOAD_FAILED, and what writing throws. */
export async function convert(
  file: FileHandle,
  conversion: Conversion,
  signal: AbortSignal,
): Promise<Fidelity> {
  const { blueprint, sources, layout, readings, threads, meter } = conversion;
  const artifact = artifactOf(layout.tensors, blueprint.tensors);
  await using quantizer = openQuantizer(threads);
  await using multiplier = await openMultiplier(threads);
  const { multiply, addSquare } = multiplier;
  const jobs = jobsOf(conversion.plan, artifact.tensors);
  const write = async (names: readonly string[], observed: readonly Observed[]) => {
    const these = names.flatMap((name) => jobs.get(name) ?? []);
    const tools = { multiply, quantizer, meter };
    const done = await compensateLayer(file, { jobs: these, observed }, tools, signal);
    for (const job of these) {
      if (!done.has(job.tensor.name)) await convertTensor(file, job, tools, signal);
    }
  };
  const names = segmentNames(blueprint.decoder);
  await writeFully(file, layout.header, 0);
  await write(names.rest, []);
  const passages = {
    calibration: passagesOf(blueprint, isCompensated(conversion) ? readings.calibration : []),
    probe: passagesOf(blueprint, readings.probe),
  };
  const forward = new Forward(blueprint, threads);
  const plain = checkpointWeights(sources);
  const other = artifactWeights(artifact);
  /** Hidden rows of the text to calibrate on, and of the probe, in both models. */
  let [seen, seenByOther, read, readByOther] = [
    await forward.embed(passages.calibration, plain, signal),
    await forward.embed(passages.calibration, other, signal),
    await forward.embed(passages.probe, plain, signal),
    await forward.embed(passages.probe, other, signal),
  ];
  for (const [index, layer] of names.layers.entries()) {
    const { calibration, probe } = passages;
    if (calibration.length === 0) await write(layer, []);
    else {
      const through = { weights: plain, hidden: seen, other: seenByOther, addSquare };
      const { hidden, observed } = await forward.observe(index, calibration, through, signal);
      seen = hidden;
      await write(layer, observed);
      const own = { weights: other, hidden: seenByOther };
      seenByOther = await forward.layer(index, calibration, own, signal);
    }
    read = await forward.layer(index, probe, { weights: plain, hidden: read }, signal);
    readByOther = await forward.layer(
      index,
      probe,
      { weights: other, hidden: readByOther },
      signal,
    );
  }
  const fidelity = await compare(
    { blueprint, passages: passages.probe, threads },
    { plain: { weights: plain, hidden: read }, other: { weights: other, hidden: readByOther } },
    signal,
  );
  await writeFully(file, fidelityBytes(fidelity), artifact.fidelity.offset);
  return fidelity;
}

function jobsOf(
  plan: readonly PlannedTensor[],
  places: ReadonlyMap<string, Job['placed']>,
): ReadonlyMap<string, Job> {
  return new Map(
    plan.flatMap((tensor) => {
      const placed = places.get(tensor.name);
      return placed ? [[tensor.name, { tensor, placed }] as const] : [];
    }),
  );
}

const isCompensated = ({ plan }: Conversion): boolean =>
  plan.some(({ format }) => format === 'Int4');
