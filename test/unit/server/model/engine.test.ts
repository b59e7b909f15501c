import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Engine } from '../../../../server/model/engine.ts';
import { float32Tensor } from '../../../../server/onnx/graph.ts';
import { Tape } from '../../../../server/onnx/tape.ts';

const x = { name: 'x', type: 'float32', shape: ['n'] } as const;
const y = { name: 'y', type: 'float32', shape: ['n'] } as const;

function doubling() {
  const tape = Tape.start('/test');
  const two = tape.constant('two', float32Tensor(Float32Array.of(2), [1]));
  tape.output(y, tape.op('Mul', [tape.input(x), two]));
  return tape.finish();
}

const feed = (...values: number[]) =>
  ({ type: 'float32', data: Float32Array.from(values), shape: [values.length] }) as const;

describe('Engine', () => {
  it('runs a graph', async () => {
    const engine = await Engine.load(doubling(), { threads: 1 });

    const results = await engine.run({ x: feed(1, 2, 3) });

    assert.deepEqual([...results.floats(y)], [2, 4, 6]);
    await engine.release();
  });

  it('leaves out what the graph does not take', async () => {
    const engine = await Engine.load(doubling(), { threads: 1 });

    const results = await engine.run({ x: feed(1), more: feed(5) });

    assert.deepEqual([...results.floats(y)], [2]);
    await engine.release();
  });

  it('does not take one type for another', async () => {
    const engine = await Engine.load(doubling(), { threads: 1 });
    const results = await engine.run({ x: feed(1) });

    assert.throws(() => results.integers(y), { code: 'INTERNAL' });
    assert.throws(() => results.floats({ name: 'z' }), { code: 'INTERNAL' });
    await engine.release();
  });

  it('says LOAD_FAILED with the reason of the runtime for a graph that it refuses', async () => {
    const tape = Tape.start('/test');
    tape.output(y, tape.op('NoSuchOperator', [tape.input(x)]));

    await assert.rejects(Engine.load(tape.finish(), { threads: 1 }), {
      code: 'LOAD_FAILED',
      message: /NoSuchOperator/,
    });
  });

  it('says SCORE_FAILED with the reason of the runtime for a run that it refuses', async () => {
    const engine = await Engine.load(doubling(), { threads: 1 });
    const wrong = { type: 'int32', data: Int32Array.of(1), shape: [1] } as const;

    await assert.rejects(engine.run({ x: wrong }), { code: 'SCORE_FAILED' });
    await engine.release();
  });
});
