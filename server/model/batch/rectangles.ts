// How attention over a prefix tree is cut into rectangles, rows × length queries each. Knows what attention costs,
// not how it is computed.
import { countUp, type Leaf, type PrefixTree } from './prefix-tree.ts';

/** Leaves that are computed side by side: their tokens after the first `past`, padded to `length`. */
export interface Rectangle<L extends Leaf> {
  readonly leaves: readonly L[];
  readonly length: number;
  /** Not 0 only where there is one leaf: the CPU kernel takes a past for a single row. */
  readonly past: number;
}

/** The rectangles of a batch as arrays. */
export interface RectangleArrays {
  /** int32 [S]: token of each slot, rectangles one after another, row by row, a row padded with its last token */
  readonly slots: Int32Array;
  /** int32 [P]: tokens of the past of each rectangle that has one, in order of position */
  readonly past: Int32Array;
  /** int64 [R, 5]: rows, length, length of the past, start in slots, start in past */
  readonly rectangles: BigInt64Array;
  /** int32 [N]: the slot where the attention output of each token is */
  readonly places: Int32Array;
}

export function layOutRectangles({
  tokens,
  leaves,
}: Pick<PrefixTree, 'tokens' | 'leaves'>): RectangleArrays {
  const planned = planRectangles(leaves);
  const slots = new Int32Array(sum(planned, ({ leaves, length }) => leaves.length * length));
  const past = new Int32Array(sum(planned, (rectangle) => rectangle.past));
  const places = new Int32Array(tokens.length);
  const rectangles: number[] = [];
  let slot = 0;
  let pastEnd = 0;
  for (const rectangle of planned) {
    const { length } = rectangle;
    rectangles.push(rectangle.leaves.length, length, rectangle.past, slot, pastEnd);
    for (const { path, shared } of rectangle.leaves) {
      past.set(path.subarray(0, rectangle.past), pastEnd);
      slots.set(path.subarray(rectangle.past), slot);
      slots.fill(path.at(-1) ?? 0, slot + path.length - rectangle.past, slot + length);
      const own = path[shared] ?? 0;
      countUp(places.subarray(own, own + path.length - shared), slot + shared - rectangle.past);
      slot += length;
    }
    pastEnd += rectangle.past;
  }
  return { slots, past, rectangles: BigInt64Array.from(rectangles, BigInt), places };
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

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
