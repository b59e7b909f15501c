// A pass while it is put together: how much it holds so far, and what still fits. Knows tokens, not who asks.
import { inPages, type Leaf, PrefixOrder, toEntry } from './prefix-tree.ts';
import { pastOf, planRectangles } from './rectangles.ts';

/** What a pass computes, told when it starts. */
export interface Pass {
  rows: number;
  /** Tokens as they were asked, row by row. */
  tokens: number;
  /** Tokens of the matrix work: what rows begin with alike counts once. There is no padding. */
  packedTokens: number;
  /** Queries of attention, and how many of them are padding. */
  slots: number;
  paddedSlots: number;
  /** Milliseconds that its oldest row waited. */
  waitedMs: number;
}

/** Bounds beside the packed tokens, as multiples of them: what attention and what the answer hold in memory. */
const maxSlotsShare = 2;
const maxAskedShare = 16;
/** Of attention in pages: room for keys and values. A short row takes a page of its own. */
export const maxPagesShare = 4;

export class PassDraft {
  readonly #maxTokens: number;
  /** Undefined: attention is laid out in rectangles. */
  readonly #pageTokens: number | undefined;
  readonly #maxSlotsShare: number;
  readonly #order = new PrefixOrder();
  readonly #size = { rows: 0, tokens: 0 };
  /** At most: pages may turn out to be shared. */
  #packedTokens = 0;
  /** Queries of attention before padding, or room in pages. */
  #slots = 0;

  constructor(maxTokens: number, pageTokens?: number) {
    this.#maxTokens = maxTokens;
    this.#maxSlotsShare = pageTokens ? maxPagesShare : maxSlotsShare;
    this.#pageTokens = pageTokens;
  }

  /** Adds a row and says how many tokens it adds to the matrix work; nothing when it does not fit. The first fits. */
  add(row: Int32Array): number | undefined {
    const entry = toEntry(row);
    const { at, shared } = this.#order.find(entry);
    const isThere = shared === row.length;
    const added = isThere ? 0 : row.length - inPages(shared, this.#pageTokens ?? 1);
    const slots = isThere ? 0 : this.#slotsOf(row, shared);
    const { rows, tokens } = this.#size;
    const fits =
      this.#packedTokens + added <= this.#maxTokens &&
      this.#slots + slots <= this.#maxTokens * this.#maxSlotsShare &&
      tokens + row.length <= this.#maxTokens * maxAskedShare;
    if (rows > 0 && !fits) return undefined;
    this.#order.insert(entry, at);
    this.#size.rows += 1;
    this.#size.tokens += row.length;
    this.#packedTokens += added;
    this.#slots += slots;
    return added;
  }

  /** What attention adds for a row of which `shared` tokens are there. */
  #slotsOf(row: Int32Array, shared: number): number {
    const size = this.#pageTokens;
    if (size === undefined) return row.length - pastOf({ shared });
    return Math.ceil((row.length - inPages(shared, size)) / size) * size;
  }

  report(waitedMs: number): Pass {
    const leaves = this.#order.leaves(this.#pageTokens ?? 1);
    const packedTokens = leaves.reduce((sum, { length, shared }) => sum + length - shared, 0);
    const slots = this.#pageTokens ? { slots: packedTokens, paddedSlots: 0 } : countSlots(leaves);
    return { ...this.#size, packedTokens, ...slots, waitedMs };
  }
}

function countSlots(leaves: readonly Leaf[]): Pick<Pass, 'slots' | 'paddedSlots'> {
  let slots = 0;
  let needed = 0;
  for (const { leaves: alike, length, past } of planRectangles(leaves)) {
    slots += alike.length * length;
    for (const leaf of alike) needed += leaf.length - past;
  }
  return { slots, paddedSlots: slots - needed };
}
