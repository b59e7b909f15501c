// Lines of a data set: what of each is scored, and what comes of it. Pure.
import { z } from 'zod';
import { AppError } from '../../common/errors.ts';

const ids = z.array(z.int().min(0)).min(1);
/** A sequence, or a prompt with an answer that was chosen and one that was rejected. */
const sequence = z.object({
  input_ids: ids,
  prompt_length: z.int().min(0).optional(),
});
const pair = z.object({ prompt_ids: ids, chosen_ids: ids, rejected_ids: ids });
const line = z.union([sequence, pair]);

export interface Item {
  /** Counted from 0. */
  readonly line: number;
  readonly rows: readonly { readonly ids: readonly number[]; readonly promptLength: number }[];
  readonly isPair: boolean;
}

/** Throws INVALID_REQUEST naming the line, counted from 1. */
export function readItem(text: string, at: number): Item {
  const refuse = (problem: string, cause?: unknown) =>
    new AppError('INVALID_REQUEST', `reading line ${at + 1}: ${problem}`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refuse('it is not JSON', cause);
  }
  const parsed = line.safeParse(value);
  if (!parsed.success)
    throw refuse('expected input_ids, or prompt_ids, chosen_ids and rejected_ids');
  const { data } = parsed;
  if ('input_ids' in data) {
    const { input_ids, prompt_length: promptLength = 0 } = data;
    if (promptLength > input_ids.length) throw refuse('prompt_length is more than input_ids has');
    return { line: at, rows: [{ ids: input_ids, promptLength }], isPair: false };
  }
  const { prompt_ids: prompt, chosen_ids: chosen, rejected_ids: rejected } = data;
  const rows = [chosen, rejected].map((answer) => ({
    ids: [...prompt, ...answer],
    promptLength: prompt.length,
  }));
  return { line: at, rows, isPair: true };
}

export const tokensOf = ({ rows }: Item): number =>
  rows.reduce((sum, { ids }) => sum + ids.length, 0);

export interface Scores {
  readonly logprobs: readonly (number | null)[];
  readonly sum: number;
}

/** The line of the output. Pairs get the columns that DPO trainers read. */
export function outputLine({ line, isPair }: Item, scores: readonly Scores[]): string {
  const [first, second] = scores;
  const values = isPair
    ? { ref_chosen_logps: first?.sum, ref_rejected_logps: second?.sum }
    : { logprobs: first?.logprobs, sum: first?.sum };
  return `${JSON.stringify({ line, ...values })}\n`;
}
