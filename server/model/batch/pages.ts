// How the tokens of a prefix tree lie in pages for PagedAttention. Knows the operator's inputs, not the operator.
import type { Leaf } from './prefix-tree.ts';

/** The pages of a batch as arrays. A row is a leaf of the tree: its own tokens are computed, what it shares is there. */
export interface PageArrays {
  /** int32 [rows + 1]: where the own tokens of each row begin among the packed ones, and the end */
  readonly starts: Int32Array;
  /** int32 [rows]: how many tokens stand before them */
  readonly past: Int32Array;
  /** int32 [rows, width]: the pages of each row in order, filled up with zeros */
  readonly table: Int32Array;
  readonly width: number;
  /** Distinct pages. */
  readonly pages: number;
  /** Most own tokens of a row, and the longest row. */
  readonly mostOwn: number;
  readonly longest: number;
}

/**
 * `leaves` in the order of the tree, which share whole pages only. A row's table begins with the pages of the row
 * before that it shares:
 *
 *   pages of 2      own       table
 *   5 6 7 8 9       5 6 7 8 9   0 1 2
 *   5 6 7 8 4       4           0 1 3
 *   5 6 3           3           0 4
 */
export function layOutPages(leaves: readonly Leaf[], pageTokens: number): PageArrays {
  const longest = Math.max(...leaves.map(({ length }) => length));
  const width = Math.ceil(longest / pageTokens);
  const starts = new Int32Array(leaves.length + 1);
  const past = new Int32Array(leaves.length);
  const table = new Int32Array(leaves.length * width);
  let pages = 0;
  let mostOwn = 0;
  for (const [r, { length, shared }] of leaves.entries()) {
    const own = length - shared;
    starts[r + 1] = (starts[r] ?? 0) + own;
    past[r] = shared;
    mostOwn = Math.max(mostOwn, own);
    const row = table.subarray(r * width, (r + 1) * width);
    const kept = shared / pageTokens;
    row.set(table.subarray((r - 1) * width, (r - 1) * width + kept));
    const end = Math.ceil(length / pageTokens);
    for (let page = kept; page < end; page++) row[page] = pages++;
  }
  return { starts, past, table, width, pages, mostOwn, longest };
}
