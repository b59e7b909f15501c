// The rows that are measured: random tokens in the lengths of training.
import type { ScoreRow } from '../../server/model/scoring.ts';
import { positionsFrom } from '../../server/model/scoring.ts';

const vocabulary = 128_256;

/** The same numbers at every run. */
export function generator(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

const draw = generator(1);
const tokens = (count: number) => Array.from({ length: count }, () => draw(vocabulary));

/** Scored from position `from` on. */
const rowOf = (ids: readonly number[], from: number): ScoreRow => ({
  tokens: Int32Array.from(ids),
  positions: positionsFrom(from, ids.length),
});

export const dense = (rows: number, length: number): ScoreRow[] =>
  Array.from({ length: rows }, () => rowOf(tokens(length), 1));

/** 16 completions of 511 tokens after a prompt of 513; `isRagged`: of up to half less each. */
export function group(isRagged: boolean): ScoreRow[] {
  const length = (most: number) => (isRagged ? most - draw(most >> 1) : most);
  const prompt = tokens(length(513));
  return Array.from({ length: 16 }, () =>
    rowOf([...prompt, ...tokens(length(511))], prompt.length),
  );
}

/** Lengths of prompt and completion: 50 … 800 and 20 … 1,000. */
export const mixedLengths = (count: number): [number, number][] =>
  Array.from({ length: count }, () => [50 + draw(751), 20 + draw(981)]);

export const mixed = (lengths: readonly (readonly [number, number])[]): ScoreRow[] =>
  lengths.map(([prompt, completion]) => rowOf(tokens(prompt + completion), prompt));

export const countTokens = (rows: readonly ScoreRow[]): number =>
  rows.reduce((sum, row) => sum + row.tokens.length, 0);
