import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allocateBlocks, type Blocks, dequantize } from '../../../../server/quant/blocks.ts';
import {
  type Calibration,
  calibrate,
  followDrift,
  type RoundTile,
  roundCompensated,
  roundTileRows,
} from '../../../../server/quant/gptq.ts';
import { quantizeInt4 } from '../../../../server/quant/int4.ts';
import { type Matrix, rowsOf } from '../../../../server/quant/matrix.ts';
import { correlated, gram, matrix, multiply, transpose } from '../../../support/multiply.ts';
import { noise } from '../../../support/run-graph.ts';

const signal = new AbortController().signal;
const [rows, columns] = [24, 224];

/** In one go, or with rows cut at `cut`. */
const roundTile =
  (cut = 0): RoundTile =>
  async (tile) => {
    for (const part of [
      { from: cut, to: rows },
      { from: 0, to: cut },
    ]) {
      roundTileRows({ ...tile, rows: part });
    }
  };

const weights = (): Matrix => matrix(rows, columns, noise(rows * columns, 21));

/** ‖X·Wᵀ - Y·Qᵀ‖² */
async function loss(x: Matrix, w: Matrix, y: Matrix, q: Float32Array): Promise<number> {
  const wanted = await multiply(x, transpose(w), 'Plain');
  const found = await multiply(y, transpose(matrix(rows, columns, q)), 'Plain');
  return wanted.reduce((sum, value, i) => sum + (value - found[i]!) ** 2, 0);
}

const calibrated = async (x: Matrix, y: Matrix): Promise<Calibration> =>
  calibrate({ own: await gram(y, y), across: await gram(x, y), rows: x.rows }, multiply, signal);

async function quantize(x: Matrix, y: Matrix, given: { cut?: number } = {}): Promise<Blocks> {
  const calibration = await calibrated(x, y);
  const job = { weights: weights(), into: allocateBlocks(rows, columns, 4) };
  await followDrift(job.weights, calibration, multiply, signal);
  const means = { multiply, roundTile: roundTile(given.cut) };
  await roundCompensated(job, calibration, means, signal);
  return job.into;
}

describe('roundCompensated', () => {
  it('loses much less on correlated inputs than rounding to nearest', async () => {
    const x = await correlated(4000, columns, 30);
    const importance = Float32Array.from({ length: columns }, (_, i) => {
      return x.values.reduce((sum, v, at) => sum + (at % columns === i ? v * v : 0), 0);
    });
    const nearest = quantizeInt4(weights().values, columns, importance);

    const found = await loss(x, weights(), x, dequantize(await quantize(x, x), columns, 4));

    const bound = 0.5 * (await loss(x, weights(), x, dequantize(nearest, columns, 4)));
    assert.ok(found < bound, `${found} is not below ${bound}`);
  });

  it('loses less than rounding to nearest on inputs that it did not see, however few it saw', async () => {
    const all = await correlated(1000, columns, 100);
    for (const count of [40, 100, 224]) {
      const seen = rowsOf(all, { from: 0, to: count });
      const others = rowsOf(all, { from: count, to: all.rows });
      const nearest = quantizeInt4(weights().values, columns);

      const blocks = await quantize(seen, seen);

      const found = await loss(others, weights(), others, dequantize(blocks, columns, 4));
      const bound = await loss(others, weights(), others, dequantize(nearest, columns, 4));
      assert.ok(found < bound, `${found} is not below ${bound} after ${count}`);
    }
  });

  it('is rounding to nearest where inputs have nothing in common', async () => {
    const unit = matrix(columns, columns, new Float32Array(columns ** 2));
    for (let i = 0; i < columns; i++) unit.values[i * columns + i] = 1;

    assert.deepEqual(await quantize(unit, unit), quantizeInt4(weights().values, columns));
  });

  it('is rounding to nearest where there was no input at all', async () => {
    const none = matrix(1, columns, new Float32Array(columns));

    assert.deepEqual(await quantize(none, none), quantizeInt4(weights().values, columns));
  });

  it('does not depend on how rows are shared out', async () => {
    const x = await correlated(300, columns, 30);

    assert.deepEqual(await quantize(x, x, { cut: 7 }), await quantize(x, x));
  });

  it('leaves what was lost', async () => {
    const x = await correlated(300, columns, 30);
    const calibration = await calibrated(x, x);
    const job = { weights: weights(), into: allocateBlocks(rows, columns, 4) };

    await roundCompensated(job, calibration, { multiply, roundTile: roundTile() }, signal);

    const back = dequantize(job.into, columns, 4);
    const wanted = weights().values;
    job.weights.values.forEach((error, i) => {
      assert.ok(Math.abs(error - (wanted[i]! - back[i]!)) < 1e-6, `${error} at ${i}`);
    });
  });

  it('stops when it is told to', async () => {
    const stopped = AbortSignal.abort(new Error('enough'));
    const x = await correlated(10, columns, 3);
    const calibration = await calibrated(x, x);
    const job = { weights: weights(), into: allocateBlocks(rows, columns, 4) };

    const rounding = roundCompensated(
      job,
      calibration,
      { multiply, roundTile: roundTile() },
      stopped,
    );

    await assert.rejects(rounding, /enough/);
  });
});

describe('followDrift', () => {
  it('makes up for part of what earlier layers changed', async () => {
    const x = await correlated(4000, columns, 30);
    const moved = noise(x.values.length, 31);
    const y = matrix(
      4000,
      columns,
      x.values.map((value, i) => 0.9 * value + 0.05 * moved[i]!),
    );
    const calibration = await calibrated(x, y);
    const followed = weights();

    await followDrift(followed, calibration, multiply, signal);

    const before = await loss(x, weights(), y, weights().values);
    const after = await loss(x, weights(), y, followed.values);
    assert.ok(after < 0.5 * before, `${after} is not far below ${before}`);
  });

  it('changes nothing where the inputs are those of the unquantized model', async () => {
    const x = await correlated(300, columns, 30);
    const calibration = await calibrated(x, x);
    const followed = weights();

    await followDrift(followed, calibration, multiply, signal);

    assert.deepEqual(followed, weights());
  });
});
