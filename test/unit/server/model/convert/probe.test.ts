import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readingsFor } from '../../../../../server/model/convert/probe.ts';
import { exampleRoot, goldenRoot } from '../../../../support/engine-kit.ts';
import { volumeOf } from '../../../../support/volume.ts';

const trained = `${exampleRoot}/tiny-python-llama`;
const parameters = (count: number) => [{ name: 'w', shape: [count], role: 'Vector' } as const];
const sizes = {
  task: 'LogProbs' as const,
  vocabularySize: 2048,
  contextTokens: 1024,
  tensors: parameters(2_755_008),
};
const count = (rows: readonly Int32Array[]) => rows.reduce((sum, row) => sum + row.length, 0);

describe('readingsFor', () => {
  it("gives the shipped text in the model's own tokens: a probe, and other rows to calibrate on", async () => {
    const { calibration, probe } = await readingsFor(volumeOf(trained), sizes);

    assert.ok(count(probe) >= 1024, `${count(probe)} tokens to compare on`);
    assert.ok(
      count(calibration) > 10 * count(probe),
      `${count(calibration)} tokens to calibrate on`,
    );
    const seen = new Set(calibration.map((row) => row.join()));
    assert.ok(!probe.some((row) => seen.has(row.join())), 'a row is in both');
  });

  it('calibrates a large model on fewer tokens', async () => {
    const large = await readingsFor(volumeOf(trained), { ...sizes, tensors: parameters(8e9) });

    const tokens = count(large.calibration);
    assert.ok(tokens >= 4096 && tokens < 5000, `${tokens} tokens`);
  });

  it('compares a reward model on many short rows', async () => {
    const { probe } = await readingsFor(volumeOf(trained), { ...sizes, task: 'Reward' });

    assert.ok(probe.length >= 32, `${probe.length} rows`);
  });

  it('is the same at each call', async () => {
    assert.deepEqual(
      await readingsFor(volumeOf(trained), sizes),
      await readingsFor(volumeOf(trained), sizes),
    );
  });

  it('has no row that is longer than the model reads', async () => {
    const { calibration, probe } = await readingsFor(volumeOf(trained), {
      ...sizes,
      contextTokens: 64,
    });

    const longest = Math.max(...[...calibration, ...probe].map(({ length }) => length));
    assert.equal(longest, 64);
  });

  it('compares on tokens at random, and calibrates on none, without a tokenizer or with one of another model', async () => {
    const without = await readingsFor(volumeOf(`${goldenRoot}/llama`), {
      ...sizes,
      vocabularySize: 256,
    });
    const foreign = await readingsFor(volumeOf(trained), { ...sizes, vocabularySize: 256 });

    for (const { calibration, probe } of [without, foreign]) {
      assert.equal(calibration.length, 0);
      assert.equal(count(probe), 1024);
      assert.ok(
        probe.every((row) => row.every((id) => id >= 0 && id < 256)),
        'an id is no token',
      );
    }
  });
});
