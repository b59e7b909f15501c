// What is scored of a prefix tree: within a group each (token, target) once, however many rows ask for it. No hash is
// needed, since a target stands in the tree once after its prefix.
import type { Candidates } from '../scoring.ts';

export interface Scored {
  /** [chunks, rows] */
  readonly scoredShape: readonly [number, number];
  /** int32 [chunks, rows] each: packed tokens after which to score, and the token there; padded at the end */
  readonly scored: Int32Array;
  readonly targets: Int32Array;
  /** float32 [chunks, rows] */
  readonly temperatures: Float32Array;
  /** int32 [chunks, rows, candidateWidth], padded with token 0 */
  readonly candidates: Int32Array;
  readonly candidateWidth: number;
}

/** The runtime sums up a row that is alone in another order: with a second one it gets the bits that it has in a batch. */
const minChunkRows = 2;

/** Numbers what is asked in the order in which it is asked first. */
export class AskedTokens {
  readonly #tokens: Int32Array;
  readonly #after: Int32Array;
  readonly #targets: Int32Array;
  readonly #temperatures: Float32Array;
  readonly #lists: { number: number; ids: Int32Array }[] = [];
  #count = 0;
  /** The group that is asked now: its first number, and its temperature. */
  #first = 0;
  #temperature = 1;
  /** By packed token: its number as a target, and the number of a target that follows it; those of the group count. */
  readonly #numbers: Int32Array;
  readonly #followers: Int32Array;

  /** `capacity`: how often it will be asked, at most. */
  constructor(tokens: Int32Array, capacity: number) {
    this.#tokens = tokens;
    this.#after = new Int32Array(capacity);
    this.#targets = new Int32Array(capacity);
    this.#temperatures = new Float32Array(capacity);
    this.#numbers = new Int32Array(tokens.length).fill(-1);
    this.#followers = new Int32Array(tokens.length).fill(-1);
  }

  /** What is asked from now on has nothing in common with what was asked before. */
  startGroup(temperature: number): void {
    this.#first = this.#count;
    this.#temperature = temperature;
  }

  /** The packed token `target`, which follows `after`. */
  target(after: number, target: number): number {
    const known = this.#numbers[target] ?? -1;
    if (known >= this.#first) return known;
    const number = this.#add(after, this.#tokens[target] ?? 0);
    this.#numbers[target] = number;
    return number;
  }

  /** Whatever follows `after`: a target that was asked there, or else token 0. */
  next(after: number): number {
    const known = this.#followers[after] ?? -1;
    return known >= this.#first ? known : this.#add(after, 0);
  }

  /** The tokens that are asked beside target `number`. */
  beside(number: number, ids: Int32Array): void {
    this.#lists.push({ number, ids });
  }

  #add(after: number, token: number): number {
    const number = this.#count++;
    this.#after[number] = after;
    this.#targets[number] = token;
    this.#temperatures[number] = this.#temperature;
    this.#followers[after] = number;
    return number;
  }

  /** All of it, in equal chunks. */
  inChunks(maxChunkRows: number): Scored {
    const chunks = Math.ceil(this.#count / maxChunkRows);
    const chunkRows = Math.max(minChunkRows, Math.ceil(this.#count / chunks));
    const size = chunks * chunkRows;
    const scored = new Int32Array(size);
    const targets = new Int32Array(size);
    const temperatures = new Float32Array(size).fill(1);
    scored.set(this.#after.subarray(0, this.#count));
    targets.set(this.#targets.subarray(0, this.#count));
    temperatures.set(this.#temperatures.subarray(0, this.#count));
    const scoredShape = [chunks, chunkRows] as const;
    return { scored, targets, temperatures, scoredShape, ...this.#candidates(size) };
  }

  #candidates(size: number): Pick<Scored, 'candidates' | 'candidateWidth'> {
    const width = this.#lists.reduce((most, { ids }) => Math.max(most, ids.length), 0);
    const candidates = new Int32Array(size * width);
    for (const { number, ids } of this.#lists) {
      for (const [i, id] of ids.entries()) candidates[number * width + i] = Math.max(0, id);
    }
    return { candidates, candidateWidth: width };
  }
}

/** Those of the i-th position. */
export const candidatesAt = ({ ids, width }: Candidates, i: number): Int32Array =>
  ids.subarray(i * width, (i + 1) * width);
