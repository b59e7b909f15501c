// Records of a data set: what of each is scored, and what comes of it.
import { z } from 'zod';
import { badRecord, type DataRecord } from './record.ts';
import { readTexts, type TextRow, type Tokenize, textColumns } from './texts.ts';

const ids = z.array(z.int().min(0)).min(1);
/** A sequence, or a prompt with an answer that was chosen and one that was rejected. */
const sequence = z.object({
  input_ids: ids,
  prompt_length: z.int().min(0).optional(),
});
const pair = z.object({ prompt_ids: ids, chosen_ids: ids, rejected_ids: ids });
const idRecord = z.union([sequence, pair]);

/** Of all formats. */
export const columnNames: readonly string[] = [
  ...Object.keys(sequence.shape),
  ...Object.keys(pair.shape),
  ...textColumns,
];

export interface ItemRow {
  readonly ids: readonly number[];
  /** Tokens that are context only. */
  readonly promptLength: number;
}

export interface Item {
  /** Counted from 0. */
  readonly line: number;
  readonly share: number;
  readonly rows: readonly ItemRow[];
  readonly isPair: boolean;
}

/** The model's own. */
export interface Tokenizer {
  ids: (request: Tokenize) => Promise<number[]>;
  /** Written behind texts; empty for none. */
  eos: () => Promise<string>;
  /**
   * Where the tokens of a prompt are not those that the whole text begins with: whether a pair is the tokens of the prompt
   * and what follows so many of the whole, as DPO trainers put it together, or the whole as it is.
   */
  joinsPairs: boolean;
}

/** Throws INVALID_REQUEST naming the line, counted from 1. */
export async function readItem(record: DataRecord, tokenizer: Tokenizer): Promise<Item> {
  const { line, share, value } = record;
  const parsed = idRecord.safeParse(value);
  if (parsed.success) return { line, share, ...readIds(parsed.data, line) };
  const texts = readFormat(value, { line, eos: await tokenizer.eos() });
  const joins = texts.isPair && tokenizer.joinsPairs;
  const tokenized = await Promise.all(texts.rows.map((row) => tokenize(row, tokenizer, joins)));
  if (tokenized.some((row) => row.ids.length === 0)) throw badRecord(line, 'it has no token');
  return { line, share, rows: tokenized, isPair: texts.isPair };
}

function readIds(data: z.output<typeof idRecord>, line: number) {
  if ('input_ids' in data) {
    const { input_ids, prompt_length: promptLength = 0 } = data;
    if (promptLength > input_ids.length) {
      throw badRecord(line, 'prompt_length is more than input_ids has');
    }
    return { rows: [{ ids: input_ids, promptLength }], isPair: false };
  }
  const { prompt_ids: prompt, chosen_ids: chosen, rejected_ids: rejected } = data;
  const rows = [chosen, rejected].map((answer) => ({
    ids: [...prompt, ...answer],
    promptLength: prompt.length,
  }));
  return { rows, isPair: true };
}

function readFormat(value: unknown, { line, eos }: { line: number; eos: string }) {
  const formats =
    'input_ids; prompt_ids, chosen_ids and rejected_ids; prompt and completion; prompt, chosen and rejected; ' +
    'chosen and rejected; messages; or text';
  let texts: ReturnType<typeof readTexts>;
  try {
    texts = readTexts(value, eos);
  } catch (cause) {
    throw badRecord(line, 'its tools are no list in JSON', cause);
  }
  if (!texts) throw badRecord(line, `expected ${formats}`);
  return texts;
}

/** Cut where the tokens of the context alone would end, as TRL does. */
async function tokenize(
  { whole, context }: TextRow,
  tokenizer: Tokenizer,
  joins: boolean,
): Promise<ItemRow> {
  const [ids, before] = await Promise.all([
    tokenizer.ids(whole),
    context ? tokenizer.ids(context) : [],
  ]);
  const promptLength = Math.min(before.length, ids.length);
  return { ids: joins ? [...before, ...ids.slice(promptLength)] : ids, promptLength };
}

export const tokensOf = ({ rows }: Item): number =>
  rows.reduce((sum, { ids }) => sum + ids.length, 0);

/** Of a row: by a language model, or by a reward model. */
export type Scores =
  | { readonly logprobs: readonly (number | null)[]; readonly sum: number }
  | { readonly reward: number | readonly number[] };

/** The line of the output. Pairs get the columns that DPO trainers read. */
export function outputLine({ line, isPair }: Item, scores: readonly Scores[]): string {
  const [first, second] = scores;
  return `${JSON.stringify({ line, ...(isPair ? pairOf(first, second) : first) })}\n`;
}

function pairOf(chosen: Scores | undefined, rejected: Scores | undefined): object {
  if (!chosen || !rejected) return {};
  return 'reward' in chosen && 'reward' in rejected
    ? { chosen_reward: chosen.reward, rejected_reward: rejected.reward }
    : {
        ref_chosen_logps: 'sum' in chosen ? chosen.sum : null,
        ref_rejected_logps: 'sum' in rejected ? rejected.sum : null,
      };
}
