// What is scored of a prefix tree: each (token, target) once, however many rows ask for it. No hash is needed, since
// a target stands in the tree once after its prefix.

export interface Scored {
  /** int32 [chunks, chunkRows] each: packed tokens after which to score, and the token there; padded at the end */
  readonly scored: Int32Array;
  readonly targets: Int32Array;
  readonly scoredShape: readonly [number, number];
}

/** Numbers what is asked in the order in which it is asked first. */
export class AskedTokens {
  readonly #tokens: Int32Array;
  readonly #after: Int32Array;
  readonly #targets: Int32Array;
  #count = 0;
  /** By packed token: its number as a target, and the number of a target that follows it; -1 where there is none. */
  readonly #numbers: Int32Array;
  readonly #followers: Int32Array;

  constructor(tokens: Int32Array) {
    this.#tokens = tokens;
    this.#after = new Int32Array(2 * tokens.length);
    this.#targets = new Int32Array(2 * tokens.length);
    this.#numbers = new Int32Array(tokens.length).fill(-1);
    this.#followers = new Int32Array(tokens.length).fill(-1);
  }

  /** The packed token `target`, which follows `after`. */
  target(after: number, target: number): number {
    const known = this.#numbers[target] ?? -1;
    if (known >= 0) return known;
    const number = this.#add(after, this.#tokens[target] ?? 0);
    this.#numbers[target] = number;
    return number;
  }

  /** Whatever follows `after`: a target that was asked there, or else token 0. */
  next(after: number): number {
    const known = this.#followers[after] ?? -1;
    return known >= 0 ? known : this.#add(after, 0);
  }

  #add(after: number, token: number): number {
    const number = this.#count++;
    this.#after[number] = after;
    this.#targets[number] = token;
    this.#followers[after] = number;
    return number;
  }

  /** All of it, in equal chunks. */
  inChunks(maxChunkRows: number): Scored {
    const chunks = Math.ceil(this.#count / maxChunkRows);
    const chunkRows = Math.ceil(this.#count / chunks);
    const scored = new Int32Array(chunks * chunkRows);
    const targets = new Int32Array(chunks * chunkRows);
    scored.set(this.#after.subarray(0, this.#count));
    targets.set(this.#targets.subarray(0, this.#count));
    return { scored, targets, scoredShape: [chunks, chunkRows] };
  }
}
