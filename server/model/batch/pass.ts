// A pass while it is put together: how much it holds so far, and what still fits. Knows tokens, not who asks.
import { PrefixOrder, toEntry } from './prefix-tree.ts';
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

export class PassDraft {
  readonly #maxTokens: number;
  readonly #order = new PrefixOrder();
  readonly #size = { rows: 0, tokens: 0, packedTokens: 0 };
  /** Before padding. */
  #slots = 0;

  constructor(maxTokens: number) {
    this.#maxTokens = maxTokens;
  }

  /** Adds a row and says how many tokens it adds to the matrix work; nothing when it does not fit. The first fits. */
  add(row: Int32Array): number | undefined {
    const entry = toEntry(row);
    const { at, shared } = this.#order.find(entry);
    const added = row.length - shared;
    const slots = added === 0 ? 0 : row.length - pastOf({ shared });
    const { rows, tokens, packedTokens } = this.#size;
    const fits =
      packedTokens + added <= this.#maxTokens &&
      this.#slots + slots <= this.#maxTokens * maxSlotsShare &&
      tokens + row.length <= this.#maxTokens * maxAskedShare;
    if (rows > 0 && !fits) return undefined;
    this.#order.insert(entry, at);
    this.#size.rows += 1;
    this.#size.tokens += row.length;
    this.#size.packedTokens += added;
    this.#slots += slots;
    return added;
  }

  report(waitedMs: number): Pass {
    let slots = 0;
    let needed = 0;
    for (const { leaves, length, past } of planRectangles(this.#order.leaves())) {
      slots += leaves.length * length;
      for (const leaf of leaves) needed += leaf.length - past;
    }
    return { ...this.#size, slots, paddedSlots: slots - needed, waitedMs };
  }
}
