// Rounds weights to the codes of a format, on all threads. The rows of a matrix do not depend on each other, so each
// thread gets some.
import type { Worker } from 'node:worker_threads';
import { abortable } from '../../../common/abort.ts';
import { AppError } from '../../../common/errors.ts';
import { moduleWorker } from '../../../common/module.ts';
import { type Blocks, blockSize } from '../../quant/blocks.ts';
import type { RoundTile } from '../../quant/gptq.ts';
import { type Matrix, part, type Range, rangesOf, rowsOf } from '../../quant/matrix.ts';
import { nf4BlockSize } from '../../quant/nf4.ts';
import type { BlockFormat } from './plan.ts';
import type { Rounded, RoundTask, Task } from './rounding.ts';

export interface Quantizer extends AsyncDisposable {
  /** Each weight by itself; scales are the bytes of their type. */
  readonly quantize: (
    format: BlockFormat,
    weights: Matrix,
    signal: AbortSignal,
  ) => Promise<{ codes: Uint8Array; scales: Uint8Array }>;
  readonly roundTile: RoundTile;
}

export function openQuantizer(threads: number): Quantizer {
  const crew = new Crew(threads);
  /** As many rows as always make whole blocks, the flat ones of NF4 too. */
  const share = (rows: number) => Math.ceil(rows / threads / nf4BlockSize) * nf4BlockSize;
  return {
    async quantize(format, weights, signal) {
      const work = rangesOf(weights.rows, share(weights.rows)).map((rows) => {
        const some = rowsOf(weights, rows);
        const own = { ...some, values: some.values.slice() }; // not all of the buffer
        return crew.run({ kind: 'Quantize', format, weights: own }, signal);
      });
      return joined(await Promise.all(work));
    },
    async roundTile(tile, signal) {
      const { rows: count } = tile.errors;
      const work = rangesOf(count, share(count)).map(async (rows) => {
        putBack(tile, { rows, rounded: await crew.run(cutOut(tile, rows), signal) });
      });
      await Promise.all(work);
    },
    [Symbol.asyncDispose]: () => crew.dismiss(),
  };
}

/** One after the other. Scales are bytes of whatever type they have. */
function joined(parts: readonly Rounded[]): { codes: Uint8Array; scales: Uint8Array } {
  const bytesOf = ({ buffer, byteOffset, byteLength }: Rounded['scales']) =>
    new Uint8Array(buffer, byteOffset, byteLength);
  return {
    codes: Buffer.concat(parts.map(({ codes }) => codes)),
    scales: Buffer.concat(parts.map(({ scales }) => bytesOf(scales))),
  };
}

type Tile = Parameters<RoundTile>[0];

function cutOut({ errors, columns, feedback, lower, importance }: Tile, rows: Range): RoundTask {
  const width = columns.to - columns.from;
  const behind =
    feedback.length > 0 ? { rows: errors.rows, columns: width, values: feedback } : undefined;
  return {
    kind: 'Round',
    errors: part(errors, rows, columns),
    feedback: behind ? rowsOf(behind, rows).values.slice() : feedback,
    lower,
    importance: importance.slice(),
  };
}

function putBack(
  { errors, columns, into }: Tile,
  { rows, rounded }: { rows: Range; rounded: Rounded },
): void {
  const width = columns.to - columns.from;
  const blocks = Math.ceil(width / blockSize);
  const perRow = into.scales.length / errors.rows;
  const first = columns.from / blockSize;
  for (let row = rows.from, at = 0; row < rows.to; row++, at++) {
    const left = rounded.errors?.subarray(at * width, (at + 1) * width) ?? [];
    errors.values.set(left, row * errors.columns + columns.from);
    copyBlocks(rounded, into, { from: at * blocks, to: row * perRow + first, count: blocks });
  }
}

/** 4-bit blocks of 32: 16 bytes and one scale each. */
function copyBlocks(
  { codes, scales }: Rounded,
  into: Blocks,
  { from, to, count }: { from: number; to: number; count: number },
): void {
  const bytes = blockSize / 2;
  into.codes.set(codes.subarray(from * bytes, (from + count) * bytes), to * bytes);
  into.scales.set(scales.subarray(from, from + count), to);
}

/** Threads that take one task after another; the one with the least to do gets the next. */
class Crew {
  readonly #workers: { readonly thread: Worker; tasks: number }[];
  readonly #waiters = new Map<
    number,
    { resolve: (rounded: Rounded) => void; reject: (err: Error) => void }
  >();
  #lastId = 0;

  constructor(threads: number) {
    this.#workers = Array.from({ length: threads }, () => {
      const thread = moduleWorker(import.meta.url, './rounding-thread');
      const worker = { thread, tasks: 0 };
      thread.on('message', ({ id, rounded }: { id: number; rounded: Rounded }) => {
        worker.tasks -= 1;
        this.#waiters.get(id)?.resolve(rounded);
        this.#waiters.delete(id);
      });
      thread.on('error', (err) => this.#fail(err));
      return worker;
    });
  }

  run(task: Task, signal: AbortSignal): Promise<Rounded> {
    const id = ++this.#lastId;
    const [worker] = [...this.#workers].sort((a, b) => a.tasks - b.tasks);
    const rounded = new Promise<Rounded>((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject });
      if (!worker) return;
      worker.tasks += 1;
      worker.thread.postMessage({ id, task }, []);
    });
    rounded.catch(() => {}); // who waits hears of it
    return abortable(rounded, signal);
  }

  async dismiss(): Promise<void> {
    await Promise.all(this.#workers.map(({ thread }) => thread.terminate()));
  }

  #fail(cause: unknown): void {
    const err = new AppError('INTERNAL', 'a thread that rounds weights ended', { cause });
    for (const { reject } of this.#waiters.values()) reject(err);
    this.#waiters.clear();
  }
}
