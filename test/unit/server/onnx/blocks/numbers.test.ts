import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  converted,
  inFloat32,
  times,
  typedConstant,
} from '../../../../../server/onnx/blocks/numbers.ts';
import { Tape } from '../../../../../server/onnx/tape.ts';
import { cpuTarget } from '../../../../../server/onnx/target.ts';
import { bfloat16Tensor } from '../../../../support/coded-weights.ts';
import { floats, noise, runBlock } from '../../../../support/run-graph.ts';

const half = { provider: 'CUDA', type: 'float16' } as const;
const typesOf = (tape: Tape) => tape.finish().nodes.map(({ type }) => type);
const input = (tape: Tape) => tape.input({ name: 'x', type: 'float32', shape: ['n'] });

describe('converted', () => {
  it('casts where the types differ only', () => {
    const tape = Tape.start('/m');
    const x = input(tape);

    assert.equal(converted(tape, x, { from: 'float32', to: 'float32' }), x);
    converted(tape, x, { from: 'float32', to: 'bfloat16' });

    assert.deepEqual(typesOf(tape), ['Cast']);
  });
});

describe('typedConstant', () => {
  it('casts a constant once, however often it is asked for', () => {
    const tape = Tape.start('/m');
    const tensor = bfloat16Tensor(noise(4), [4]);

    const wide = typedConstant(tape, { name: 'w', tensor }, 'float32');

    assert.equal(typedConstant(tape, { name: 'w', tensor }, 'float32'), wide);
    assert.equal(typedConstant(tape, { name: 'w', tensor }, 'bfloat16').name, 'w');
    assert.deepEqual(typesOf(tape), ['Cast']);
  });
});

describe('inFloat32', () => {
  it('widens and narrows around what is computed, for numbers that are not float32 already', () => {
    const tape = Tape.start('/m');
    const x = input(tape);

    inFloat32(tape, cpuTarget, x, (wide) => tape.op('Neg', [wide]));
    inFloat32(tape, half, x, (wide) => tape.op('Abs', [wide]));

    assert.deepEqual(typesOf(tape), ['Neg', 'Cast', 'Abs', 'Cast']);
  });
});

describe('times', () => {
  it('multiplies by the factor as float32 has it', async () => {
    const { y } = await runBlock({ x: floats([1, 2], [3, -5]) }, (tape, { x }) => ({
      y: times(tape, cpuTarget, x, 0.22),
    }));

    assert.deepEqual(
      y?.data,
      [3, -5].map((value) => Math.fround(value * Math.fround(0.22))),
    );
  });
});
