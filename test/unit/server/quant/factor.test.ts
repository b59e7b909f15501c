import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { factorize, solve } from '../../../../server/quant/factor.ts';
import type { Matrix } from '../../../../server/quant/matrix.ts';
import { correlated, gram, matrix, multiply } from '../../../support/multiply.ts';
import { largestDifference, noise } from '../../../support/run-graph.ts';

const signal = new AbortController().signal;
const copyOf = ({ rows, columns, values }: Matrix) => matrix(rows, columns, values);

/** The lower triangle alone. */
const triangle = ({ rows, columns, values }: Matrix) =>
  matrix(
    rows,
    columns,
    values.map((x, i) => (i % columns > Math.floor(i / columns) ? 0 : x)),
  );

/** How far L·Lᵀ is from H + damping, in parts of what a diagonal pair allows. */
async function factorError(h: Matrix, damping: number): Promise<number> {
  const { lower } = await factorize(copyOf(h), damping, multiply, signal);
  const cut = triangle(lower);
  const product = await multiply(cut, cut, 'Transposed');
  const size = h.rows;
  const diagonal = Array.from({ length: size }, (_, i) => h.values[i * size + i]! + damping);
  return product.reduce((worst, value, i) => {
    const [row, column] = [Math.floor(i / size), i % size];
    const wanted = h.values[i]! + (row === column ? damping : 0);
    return Math.max(
      worst,
      Math.abs(value - wanted) / Math.sqrt(diagonal[row]! * diagonal[column]!),
    );
  }, 0);
}

describe('factorize', () => {
  it('gives L with L·Lᵀ = H + damping, over several tiles and a short one', async () => {
    const x = await correlated(600, 300, 40);

    assert.ok((await factorError(await gram(x, x), 0.5)) < 1e-5, 'not a factor');
  });

  it('holds where columns differ a million times and most are combinations of a few', async () => {
    const x = await correlated(200, 300, 3);
    const uneven = x.values.map((value, i) => value * 10 ** ((i % 300) % 7));
    const h = await gram(matrix(200, 300, uneven), matrix(200, 300, uneven));
    const mean = Array.from({ length: 300 }, (_, i) => h.values[i * 301]!).reduce((a, b) => a + b);

    assert.ok((await factorError(h, (0.01 * mean) / 300)) < 1e-5, 'not a factor');
  });

  it('stays finite where rounding makes H indefinite', async () => {
    const h = matrix(2, 2, [1, 1.5, 1.5, 1]);

    const { lower, inverses } = await factorize(h, 0.01, multiply, signal);

    const found = [...lower.values, ...inverses[0]!.values];
    assert.ok(found.every(Number.isFinite), found.join(' '));
  });

  it('stops when it is told to', async () => {
    const stopped = AbortSignal.abort(new Error('enough'));

    await assert.rejects(factorize(matrix(1, 1, [1]), 0, multiply, stopped), /enough/);
  });
});

describe('solve', () => {
  it('finds X with X·H = right', async () => {
    const x = await correlated(600, 300, 40);
    const h = await gram(x, x);
    const wanted = matrix(4, 300, noise(4 * 300));
    const damped = copyOf(h);
    for (let i = 0; i < 300; i++) damped.values[i * 301]! += 0.5;
    const right = matrix(4, 300, await multiply(wanted, damped, 'Plain'));

    await solve(right, await factorize(h, 0.5, multiply, signal), multiply, signal);

    assert.ok(largestDifference(right.values, wanted.values) < 2e-3, 'not a solution');
  });
});
