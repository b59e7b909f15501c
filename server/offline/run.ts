// A data set through a service, in order and in constant memory: what the journal has already is passed over.
import { linkSignals } from '../../common/abort.ts';
import { inOrder } from './in-order.ts';
import { columnNames, type Item, outputLine, readItem, type Scores, tokensOf } from './items.ts';
import { type Identity, Journal, type Settings } from './journal.ts';
import { readRecords } from './records.ts';
import type { Tokenize } from './texts.ts';

export interface RunOptions {
  input: string;
  output: string;
  settings: Settings;
  /** Tokens of a batch at most; an item that has more is a batch of its own. */
  batchTokens: number;
  /** Batches at a time. */
  concurrency: number;
  service: ScoringService;
  onProgress: (progress: Progress) => void;
}

export interface ScoringService {
  score: (items: readonly Item[], signal: AbortSignal) => Promise<Scored>;
  tokenize: (request: Tokenize, signal: AbortSignal) => Promise<number[]>;
  eos: (signal: AbortSignal) => Promise<string>;
  task: (signal: AbortSignal) => Promise<Task>;
}

export const tasks = ['logprobs', 'reward'] as const;
export type Task = (typeof tasks)[number];

export interface Scored {
  /** Of each item, of each of its rows. */
  readonly scores: readonly (readonly Scores[])[];
  readonly model: Identity;
}

export interface Progress {
  /** Records that are done. */
  lines: number;
  /** Of the input: 0 to 1. */
  share: number;
}

/** Texts that are tokenized at a time. */
const tokenizing = 16;

/** The number of records. */
export async function scoreFile(options: RunOptions, outer: AbortSignal): Promise<number> {
  const { input, output, settings, service } = options;
  await using journal = await Journal.open(output, settings);
  const failed = new AbortController();
  using ends = linkSignals(outer, failed.signal);
  const { signal } = ends;
  try {
    const tokenizer = {
      ids: (request: Tokenize) => service.tokenize(request, signal),
      eos: () => service.eos(signal),
      joinsPairs: (await service.task(signal)) === 'logprobs',
    };
    const records = readRecords(input, { skip: journal.lines, columns: columnNames });
    const items = inOrder(records, tokenizing, (record) => readItem(record, tokenizer));
    const score = async (batch: readonly Item[]) => ({
      batch,
      scored: await service.score(batch, signal),
    });
    for await (const { batch, scored } of inOrder(
      batches(items, options.batchTokens),
      options.concurrency,
      score,
    )) {
      signal.throwIfAborted();
      const lines = batch.map((item, i) => outputLine(item, scored.scores[i] ?? []));
      await journal.append(lines, scored.model);
      options.onProgress({ lines: journal.lines, share: batch.at(-1)?.share ?? 1 });
    }
  } finally {
    failed.abort(); // what still runs is for nobody
  }
  await journal.finish();
  return journal.lines;
}

async function* batches(
  items: AsyncIterable<Item>,
  batchTokens: number,
): AsyncGenerator<readonly Item[]> {
  let batch: Item[] = [];
  let tokens = 0;
  for await (const item of items) {
    const own = tokensOf(item);
    if (batch.length > 0 && tokens + own > batchTokens) {
      yield batch;
      [batch, tokens] = [[], 0];
    }
    batch.push(item);
    tokens += own;
  }
  if (batch.length > 0) yield batch;
}
