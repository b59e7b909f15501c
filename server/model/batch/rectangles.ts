// How attention over a prefix tree is cut into rectangles, rows × length queries each. Knows what attention costs,
// not how it is computed.
import type { Leaf } from './prefix-tree.ts';

/** Leaves that are computed side by side: their tokens after the first `past`, padded to `length`. */
export interface Rectangle<L extends Leaf> {
  readonly leaves: readonly L[];
  readonly length: number;
  /** Not 0 only where there is one leaf: the CPU kernel takes a past for a single row. */
  readonly past: number;
}

/** What one more rectangle costs besides its attention, in pairs of query and key: a few calls of the runtime. */
const rectangleCost = 2048;
/** From here on, computing the shared part again costs as much as a rectangle of one's own: 64² / 2 pairs. */
const minPast = 64;
/** Bounds what a rectangle gathers at once. A longer row is a rectangle by itself. */
const maxSlots = 4096;

/** Pairs of query and key of one row. */
export const pairs = (length: number, past: number): number => length * (past + length / 2);

/** How much of a leaf is not computed again. */
export const pastOf = ({ shared }: Pick<Leaf, 'shared'>): number =>
  shared >= minPast ? shared : 0;

/**
 * Every token that a leaf adds to the tree is a query in exactly one rectangle, with the whole prefix before it.
 * The padding of a rectangle costs as much as one more rectangle would, at most.
 */
export function planRectangles<L extends Leaf>(leaves: readonly L[]): Rectangle<L>[] {
  const rectangles: Rectangle<L>[] = [];
  const whole: L[] = [];
  for (const leaf of leaves) {
    const past = pastOf(leaf);
    if (past === 0) whole.push(leaf);
    else rectangles.push({ leaves: [leaf], length: leaf.length - past, past });
  }
  return rectangles.concat(groupAlike(whole.sort((a, b) => b.length - a.length)));
}

/** Leaves without a past, longest first, side by side where their lengths are alike. */
function groupAlike<L extends Leaf>(leaves: readonly L[]): Rectangle<L>[] {
  const groups: { leaves: L[]; length: number; past: 0 }[] = [];
  let wasted = 0;
  for (const leaf of leaves) {
    const group = groups.at(-1);
    wasted += group ? pairs(group.length, 0) - pairs(leaf.length, 0) : 0;
    const slots = group ? (group.leaves.length + 1) * group.length : 0;
    if (group && wasted <= rectangleCost && slots <= maxSlots) {
      group.leaves.push(leaf);
    } else {
      groups.push({ leaves: [leaf], length: leaf.length, past: 0 });
      wasted = 0;
    }
  }
  return groups;
}
