// A data set through a service, in order and in constant memory: what stands in the output already is passed over.
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { type Item, outputLine, readItem, type Scores, tokensOf } from './items.ts';

export interface RunOptions {
  input: string;
  output: string;
  /** Tokens of a batch at most; an item that has more is a batch of its own. */
  batchTokens: number;
  /** Batches at a time. */
  concurrency: number;
  score: (items: readonly Item[], signal: AbortSignal) => Promise<Scores[][]>;
  onProgress: (progress: Progress) => void;
}

export interface Progress {
  /** Lines of the input that are done. */
  lines: number;
  /** Of the input. */
  bytes: number;
}

export async function scoreFile(options: RunOptions, signal: AbortSignal): Promise<Progress> {
  await using output = await open(options.output, 'a+');
  const progress = { lines: await dropBrokenLine(output), bytes: 0 };
  const running: { batch: Batch; scores: Promise<Scores[][]> }[] = [];
  const finishFirst = async () => {
    const first = running.shift();
    if (!first) return;
    const scores = await first.scores;
    const lines = first.batch.items.map((item, i) => outputLine(item, scores[i] ?? []));
    await output.appendFile(lines.join(''));
    progress.lines += lines.length;
    progress.bytes = first.batch.endBytes;
    options.onProgress({ ...progress });
  };
  for await (const batch of batches(options, progress.lines)) {
    signal.throwIfAborted();
    const scores = options.score(batch.items, signal);
    scores.catch(() => {}); // its turn to be awaited comes
    running.push({ batch, scores });
    if (running.length >= options.concurrency) await finishFirst();
  }
  while (running.length > 0) await finishFirst();
  return progress;
}

interface Batch {
  readonly items: Item[];
  /** Of the input, to the end of the batch. */
  readonly endBytes: number;
}

async function* batches(
  { input, batchTokens }: Pick<RunOptions, 'input' | 'batchTokens'>,
  skip: number,
): AsyncGenerator<Batch> {
  let [at, bytes, tokens] = [0, 0, 0];
  let items: Item[] = [];
  for await (const text of createInterface({
    input: createReadStream(input),
    crlfDelay: Infinity,
  })) {
    const line = at++;
    if (line >= skip) {
      const item = readItem(text, line);
      const own = tokensOf(item);
      if (items.length > 0 && tokens + own > batchTokens) {
        yield { items, endBytes: bytes };
        [items, tokens] = [[], 0];
      }
      items.push(item);
      tokens += own;
    }
    bytes += Buffer.byteLength(text) + 1;
  }
  if (items.length > 0) yield { items, endBytes: bytes };
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
