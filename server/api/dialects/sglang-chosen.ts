// Tokens whose log-probs SGLang tells beside those of the prompt: `token_ids_logprob` and `token_ids_logprob_positions`
// (SGLang pull requests 27421 and 38119). Pure.
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { numbers } from './fields.ts';

export const tokenIds = numbers(z.array(z.int().min(0)));
/** By the position of the token that could stand there: a list for each token of a prompt. */
export const perToken = z.array(tokenIds);

/** The same ones everywhere, or other ones at each position. */
export type ChosenTokens =
  | { readonly everywhere: readonly number[] }
  | { readonly positions: readonly (readonly number[])[] };

export const chosenAt = (chosen: ChosenTokens, position: number): readonly number[] =>
  'everywhere' in chosen ? chosen.everywhere : (chosen.positions[position] ?? []);

/** Of the longest list. */
export const chosenWidth = (chosen: ChosenTokens): number =>
  'everywhere' in chosen
    ? chosen.everywhere.length
    : chosen.positions.reduce((most, { length }) => Math.max(most, length), 0);

/** Every token that is named. */
export const chosenIds = (chosen: ChosenTokens): readonly number[] =>
  'everywhere' in chosen ? chosen.everywhere : chosen.positions.flat();

/** Of a prompt of `length` tokens at `positions`, -1 where a list is shorter than the longest. */
export function candidatesOf(chosen: ChosenTokens, positions: Int32Array, length: number) {
  if ('positions' in chosen && chosen.positions.length !== length) {
    const problem = `${chosen.positions.length} lists for the ${length} tokens of the prompt`;
    throw invalidField('token_ids_logprob_positions', problem);
  }
  const width = chosenWidth(chosen);
  const ids = new Int32Array(positions.length * width).fill(-1);
  for (const [i, position] of positions.entries()) ids.set(chosenAt(chosen, position), i * width);
  return width > 0 ? { candidates: { ids, width } } : {};
}

interface Prompts {
  count: number;
  /** Whether they came as a list: then so do the fields that are per prompt. */
  isList: boolean;
}

/** What each prompt asks for. Throws INVALID_REQUEST naming the field. */
export function readChosen(
  body: {
    token_ids_logprob?: number[] | number[][] | null;
    token_ids_logprob_positions?: number[][] | number[][][] | null;
  },
  prompts: Prompts,
): (ChosenTokens | undefined)[] {
  const { token_ids_logprob: ids, token_ids_logprob_positions: positions } = body;
  if (positions && ids) {
    throw invalidField('token_ids_logprob', 'token_ids_logprob_positions is there too');
  }
  if (positions) return readPositions(positions, prompts);
  if (!ids) return Array.from({ length: prompts.count });
  return readEverywhere(ids, prompts).map((everywhere) => ({ everywhere }));
}

/** A flat list of ids is one for all prompts, not one id for each. */
function readEverywhere(lists: number[] | number[][], { count }: Prompts): number[][] {
  const flat = lists.filter((id) => typeof id === 'number');
  if (flat.length === lists.length) return Array.from({ length: count }, () => flat);
  const nested = lists.filter((ids) => typeof ids !== 'number');
  if (nested.length === count) return nested;
  throw invalidField('token_ids_logprob', `${nested.length} values for ${count} prompts`);
}

function readPositions(value: number[][] | number[][][], { count, isList }: Prompts) {
  const parsed = z.array(perToken).safeParse(isList ? value : [value]);
  if (parsed.success && parsed.data.length === count) {
    return parsed.data.map((positions) => ({ positions }));
  }
  const expected = 'expected a list of ids for each token of the prompt';
  const problem = isList ? `${expected}, of ${count} prompts a list of those` : expected;
  throw invalidField('token_ids_logprob_positions', problem);
}

export const invalidField = (name: string, problem: string): AppError =>
  new AppError('INVALID_REQUEST', `reading ${name}: ${problem}`);
