// The prefix tree over the rows of a batch: what several rows begin with stands in it once. It falls out of sorting
// the rows. Knows token ids, not what is computed from them.

/** A row as it is sorted. Rows of different regimes have nothing in common, whatever their tokens are. */
export interface Entry {
  readonly tokens: Int32Array;
  readonly bytes: Uint8Array;
  readonly regime: number;
}

export const toEntry = (tokens: Int32Array, regime = 0): Entry => ({
  tokens,
  bytes: new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength),
  regime,
});

/** Any order does in which rows that begin alike stand together, the shorter first: that of bytes is the fastest. */
export const compareEntries = (a: Entry, b: Entry): number =>
  a.regime - b.regime || Buffer.compare(a.bytes, b.bytes);

/**
 * A row that is the beginning of no other.
 *
 *   rows in order   leaf   shared   own
 *   5 6             -
 *   5 6 7 8         yes    0        5 6 7 8
 *   5 6 9           yes    2        9
 */
export interface Leaf {
  readonly length: number;
  /** So much of it stands in the leaf before, and thus in the tree already. */
  readonly shared: number;
}

export interface PrefixTree {
  /** int32 [N]: each distinct (prefix, token) once. What a leaf adds stands in one piece, in order of position. */
  readonly tokens: Int32Array;
  readonly positions: Int32Array;
  /** int32 [N]: length of a row that goes through the token. */
  readonly rowLengths: Int32Array;
  /** Of each row, in the order given: where its tokens stand, int32 [length]. */
  readonly paths: readonly Int32Array[];
  readonly leaves: readonly (Leaf & { readonly path: Int32Array })[];
}

/** Which rows may share: those whose length gives the same number. */
export type RegimeOf = (length: number) => number;

export interface TreeOptions {
  /** Default: all rows may share. */
  readonly regimeOf?: RegimeOf;
  /** What rows begin with is shared in whole pages of so many tokens. Default 1. */
  readonly pageTokens?: number;
}

export function growTree(
  rows: readonly Int32Array[],
  { regimeOf = () => 0, pageTokens = 1 }: TreeOptions = {},
): PrefixTree {
  const entries = rows
    .map((tokens, row) => ({ ...toEntry(tokens, regimeOf(tokens.length)), row }))
    .sort(compareEntries);
  const found = findLeaves(entries, pageTokens);
  const size = found.reduce((sum, { length, shared }) => sum + length - shared, 0);
  const tokens = new Int32Array(size);
  const positions = new Int32Array(size);
  const rowLengths = new Int32Array(size);
  const paths = rows.map(() => tokens);
  let path = tokens;
  let end = 0;
  const leaves = found.map(({ length, shared, covered }) => {
    const before = path;
    path = new Int32Array(length);
    path.set(before.subarray(0, shared));
    countUp(path.subarray(shared), end);
    for (const { row, tokens } of covered) paths[row] = path.subarray(0, tokens.length);
    const start = end;
    end += length - shared;
    tokens.set(covered.at(-1)?.tokens.subarray(shared) ?? [], start);
    countUp(positions.subarray(start, end), shared);
    rowLengths.fill(length, start, end);
    return { length, shared, path };
  });
  return { tokens, positions, rowLengths, paths, leaves };
}

/** `first`, `first + 1`, … */
export function countUp(into: Int32Array, first: number): void {
  for (let i = 0; i < into.length; i++) into[i] = first + i;
}

/** Leaves of rows in order. `covered`: the rows that a leaf begins with, itself the last. */
function findLeaves<E extends Entry>(
  sorted: readonly E[],
  pageTokens: number,
): (Leaf & { covered: E[] })[] {
  const leaves: (Leaf & { covered: E[] })[] = [];
  let covered: E[] = [];
  let shared = 0;
  for (const [i, entry] of sorted.entries()) {
    covered.push(entry);
    const next = sorted[i + 1];
    const common = next ? commonLength(entry, next) : 0;
    const { length } = entry.tokens;
    if (next && common === length) continue;
    leaves.push({ length, shared, covered });
    covered = [];
    shared = inPages(common, pageTokens);
  }
  return leaves;
}

/** So much of `length` as fills whole pages. */
export const inPages = (length: number, pageTokens: number): number =>
  length - (length % pageTokens);

/** Rows that come one by one, kept in order, so that what each adds to the tree is known without growing it. */
export class PrefixOrder {
  readonly #sorted: Entry[] = [];

  /** Where a row belongs, and how much of it stands in the tree already. */
  find(entry: Entry): { at: number; shared: number } {
    let at = 0;
    for (let end = this.#sorted.length; at < end; ) {
      const middle = (at + end) >> 1;
      const other = this.#sorted[middle];
      if (other && compareEntries(other, entry) < 0) at = middle + 1;
      else end = middle;
    }
    const neighbours = this.#sorted.slice(Math.max(0, at - 1), at + 1);
    return { at, shared: Math.max(0, ...neighbours.map((other) => commonLength(entry, other))) };
  }

  /** `at`: as found, with no row inserted since. */
  insert(entry: Entry, at: number): void {
    this.#sorted.splice(at, 0, entry);
  }

  leaves(pageTokens: number): Leaf[] {
    return findLeaves(this.#sorted, pageTokens);
  }
}

const commonLength = (a: Entry, b: Entry): number =>
  a.regime === b.regime ? commonStart(a.tokens, b.tokens) : 0;

function commonStart(a: Int32Array, b: Int32Array): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at < end && a[at] === b[at]) at++;
  return at;
}
