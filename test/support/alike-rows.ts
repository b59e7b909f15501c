// Rows that begin alike, at random: each takes some of an earlier one and goes on by itself.
import fc from 'fast-check';

const branch = fc.record({
  from: fc.nat(30),
  keep: fc.nat(400),
  own: fc.oneof(fc.nat(4), fc.nat(150)),
  token: fc.nat(2),
});

/** Few different tokens, so that rows also meet by chance, are equal, or are the beginning of another. */
export const alikeRows: fc.Arbitrary<Int32Array[]> = fc
  .array(branch, { minLength: 1, maxLength: 24 })
  .map((branches) => {
    const rows: Int32Array[] = [];
    for (const { from, keep, own, token } of branches) {
      const before = rows[from % (rows.length + 1)] ?? Int32Array.of();
      const kept = before.slice(0, keep);
      const added = Array.from(
        { length: own + Number(kept.length === 0) },
        (_, i) => (token + i) % 3,
      );
      rows.push(Int32Array.from([...kept, ...added]));
    }
    return rows;
  });

/** Each distinct beginning of `rows`, by its tokens. `kind`: rows of different kinds share none. */
export function beginnings(
  rows: readonly Int32Array[],
  kind: (length: number) => number = () => 0,
): Set<string> {
  const all = new Set<string>();
  for (const row of rows) {
    let text = `${kind(row.length)}:`;
    for (const token of row) all.add((text += `${token},`));
  }
  return all;
}
