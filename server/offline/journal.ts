// Work in progress: `<output>.part` has a head, then a line of the output for each record that is done. It becomes the
// output when all are, and is what a run that was ended goes on from.
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { AppError } from '../../common/errors.ts';
import { isParquet, type OutputRow, writeParquet } from './parquet.ts';

/** Which weights gave the scores. */
export const identity = z.object({
  revision: z.string(),
  digest: z.string(),
  quantization: z.string(),
});
export type Identity = z.output<typeof identity>;

/** What the values depend on: a run with others may not go on from it. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

const head = z.object({
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  model: identity,
});
type Head = z.output<typeof head>;

export class Journal {
  /** Records that are done. */
  lines: number;
  readonly #output: string;
  readonly #file: FileHandle;
  readonly #settings: Settings;
  /** Unset until the first scores are there. */
  #head: Head | undefined;

  private constructor(
    output: string,
    file: FileHandle,
    state: { settings: Settings; head: Head | undefined; lines: number },
  ) {
    this.#output = output;
    this.#file = file;
    this.#settings = state.settings;
    this.#head = state.head;
    this.lines = state.lines;
  }

  /** Throws CONFIGURATION_INVALID where the output is there, or was begun with other settings. */
  static async open(output: string, settings: Settings): Promise<Journal> {
    refuseExisting(output);
    const file = await open(partOf(output), 'a+');
    try {
      const lines = await dropBrokenLine(file);
      const begun = lines === 0 ? undefined : await readHead(output);
      if (begun && !isDeepStrictEqual(begun.settings, { ...settings })) {
        const was = JSON.stringify(begun.settings);
        throw refuse(`${partOf(output)} was begun with ${was}; remove it, or go on with those`);
      }
      return new Journal(output, file, { settings, head: begun, lines: Math.max(0, lines - 1) });
    } catch (err) {
      await file.close();
      throw err;
    }
  }

  /** Throws REVISION_MISMATCH where other weights gave the lines before. */
  async append(lines: readonly string[], model: Identity): Promise<void> {
    if (!this.#head) {
      this.#head = { settings: { ...this.#settings }, model };
      await this.#file.appendFile(`${JSON.stringify(this.#head)}\n`);
    }
    const { model: first } = this.#head;
    if (first.digest !== model.digest || first.quantization !== model.quantization) {
      const [was, is] = [first, model].map((one) => `${one.revision}, ${one.quantization}`);
      const advice = `remove ${partOf(this.#output)} to begin anew`;
      throw new AppError(
        'REVISION_MISMATCH',
        `scoring: the model was ${was} and is ${is} now; ${advice}`,
      );
    }
    await this.#file.appendFile(lines.join(''));
    this.lines += lines.length;
  }

  /** Makes the output, whole or not at all. */
  async finish(): Promise<void> {
    const whole = `${this.#output}.whole`;
    if (isParquet(this.#output)) {
      const metadata = { refmodel: JSON.stringify(this.#head ?? { settings: this.#settings }) };
      await writeParquet(whole, () => rowsOf(this.#output), metadata);
    } else {
      const start = this.#head ? Buffer.byteLength(JSON.stringify(this.#head)) + 1 : 0;
      await pipeline(createReadStream(partOf(this.#output), { start }), createWriteStream(whole));
    }
    await rename(whole, this.#output);
    await rm(partOf(this.#output));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** Throws CONFIGURATION_INVALID. */
export function refuseExisting(output: string): void {
  if (existsSync(output)) {
    throw refuse(`${output} is there already; remove it, or name another file`);
  }
}

export const partOf = (output: string): string => `${output}.part`;

const refuse = (problem: string) =>
  new AppError('CONFIGURATION_INVALID', `opening the output: ${problem}`);

async function* linesOf(output: string): AsyncGenerator {
  for await (const text of createInterface({ input: createReadStream(partOf(output)) })) {
    yield JSON.parse(text);
  }
}

async function readHead(output: string): Promise<Head> {
  for await (const value of linesOf(output)) {
    const parsed = head.safeParse(value);
    if (parsed.success) return parsed.data;
    break;
  }
  throw refuse(`${partOf(output)} is not of such a run; remove it`);
}

const outputRow = z.record(z.string(), z.unknown());

async function* rowsOf(output: string): AsyncGenerator<OutputRow> {
  let isHead = true;
  for await (const value of linesOf(output)) {
    if (!isHead) yield outputRow.parse(value);
    isHead = false;
  }
}

const newline = 0x0a;

/** Whole lines of `file`; what a run that was ended wrote of one more is cut off. */
async function dropBrokenLine(file: FileHandle): Promise<number> {
  const buffer = Buffer.alloc(1 << 16);
  let [lines, at, end] = [0, 0, 0];
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) break;
    for (let i = 0; i < bytesRead; i++) {
      if (buffer[i] !== newline) continue;
      lines += 1;
      end = at + i + 1;
    }
    at += bytesRead;
  }
  if (end < at) await file.truncate(end);
  return lines;
}
