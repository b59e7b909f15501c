import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { int32Tensor } from '../../../../server/onnx/graph.ts';
import { Tape } from '../../../../server/onnx/tape.ts';
import { flag, floats, runGraph } from '../../../support/run-graph.ts';

const port = { name: 'x', type: 'float32', shape: ['n'] } as const;

describe('Tape', () => {
  it('names a node by its path and its type, and counts when the name is taken', () => {
    const tape = Tape.start('/model');
    const x = tape.input(port);

    tape.at('layers.0').op('Add', [x, x]);
    tape.at('layers.0').op('Add', [x, x]);

    const names = tape.finish().nodes.map((node) => node.name);
    assert.deepEqual(names, ['/model/layers.0/Add', '/model/layers.0/Add_1']);
  });

  it('leaves out absent inputs and outputs by an empty name', () => {
    const tape = Tape.start('/model');
    const x = tape.input(port);

    const [first, , third] = tape.ops('TopK', [x, undefined, x], {}, ['a', '', 'c']);

    const [node] = tape.finish().nodes;
    assert.deepEqual(node?.inputs, ['x', '', 'x']);
    assert.deepEqual(node?.outputs, [first.name, '', third.name]);
  });

  it('knows which operators belong to com.microsoft', () => {
    const tape = Tape.start('/model');
    const x = tape.input(port);

    tape.op('MatMulNBits', [x]);
    tape.op('Gemm', [x]);

    assert.deepEqual(
      tape.finish().nodes.map((node) => node.domain),
      ['com.microsoft', ''],
    );
  });

  it('keeps one constant for one name', () => {
    const tape = Tape.start('/model');

    tape.constant('zero', int32Tensor([0], [1]));
    tape.at('deeper').constant('zero', int32Tensor([0], [1]));

    assert.equal(tape.finish().constants.size, 1);
  });

  it('keeps constants of two models apart that have the same names', () => {
    const tape = Tape.start('/model');
    const x = tape.input(port);

    const values = ['plain', 'other'].map((folder) => {
      const inner = tape.apart(folder).at('deeper');
      return inner.op('Add', [x, inner.constant('w', int32Tensor([0], [1]))]);
    });

    const { constants, nodes } = tape.finish();
    assert.deepEqual([...constants.keys()], ['plain:w', 'other:w']);
    assert.deepEqual(
      nodes.map(({ inputs }) => inputs[1]),
      ['plain:w', 'other:w'],
    );
    assert.equal(values[1]?.name, '/model/other/deeper/Add/output_0');
  });

  it('keeps constants of another model apart, also under the same name', () => {
    const tape = Tape.start('/model');

    const mine = tape.constant('w', int32Tensor([0], [1]));
    const other = tape
      .apart('other')
      .at('deeper')
      .constant('w', int32Tensor([1], [1]));

    assert.notEqual(mine.name, other.name);
    assert.equal(tape.finish().constants.size, 2);
  });

  it('records once what follows from a constant alone', () => {
    const tape = Tape.start('/model');
    const x = tape.constant('x', int32Tensor([0], [1]));
    const cast = (at: Tape) => at.once('cast x', () => at.op('Cast', [x]));

    assert.equal(cast(tape.at('a')), cast(tape.at('b')));
    assert.equal(tape.finish().nodes.length, 1);
  });

  it('records a subgraph apart, with names that are unique in both', () => {
    const tape = Tape.start('/model');
    const outer = tape.input(port);
    const ports = { inputs: { y: port }, outputs: { sum: port } };

    const inner = tape.subgraph('body', ports, (at, { y }) => ({ sum: at.op('Add', [y, outer]) }));

    assert.equal(tape.finish().nodes.length, 0);
    assert.deepEqual(
      inner.inputs.map(({ name }) => name),
      ['/model/body/y'],
    );
    assert.deepEqual(
      inner.outputs.map(({ name }) => name),
      ['/model/body/sum'],
    );
    assert.deepEqual(inner.nodes[0]?.inputs, ['/model/body/y', 'x']);
  });

  it('gives the values of the branch that is chosen', async () => {
    for (const [condition, want] of [
      [true, [2, 4]],
      [false, [1, 2]],
    ] as const) {
      const tape = Tape.start('/model');
      const x = tape.input(port);
      const chosen = tape.choose(
        tape.input({ name: 'isDoubled', type: 'bool', shape: [1] }),
        { y: port },
        (at) => ({ y: at.op('Add', [x, x]) }),
        (at) => ({ y: at.op('Identity', [x]) }),
      );
      tape.output({ ...port, name: 'y' }, chosen.y);

      const { y } = await runGraph(tape.finish(), {
        x: floats([2], [1, 2]),
        isDoubled: flag(condition),
      });

      assert.deepEqual(y?.data, want);
    }
  });

  it('scans slices of several inputs, and puts together what comes of each', async () => {
    const tape = Tape.start('/model');
    const inputs = {
      a: tape.input({ name: 'a', type: 'float32', shape: ['m', 'n'] }),
      b: tape.input({ name: 'b', type: 'float32', shape: ['m', 'n'] }),
    };
    const ports = { inputs: { a: port, b: port }, outputs: { sum: port, product: port } };

    const { sum, product } = tape.scan('body', ports, inputs, (at, { a, b }) => ({
      sum: at.op('Add', [a, b]),
      product: at.op('Mul', [a, b]),
    }));

    tape.output({ name: 'sum', type: 'float32', shape: ['m', 'n'] }, sum);
    tape.output({ name: 'product', type: 'float32', shape: ['m', 'n'] }, product);
    const outputs = await runGraph(tape.finish(), {
      a: floats([2, 2], [1, 2, 3, 4]),
      b: floats([2, 2], [5, 6, 7, 8]),
    });
    assert.deepEqual(outputs['sum']?.data, [6, 8, 10, 12]);
    assert.deepEqual(outputs['product']?.data, [5, 12, 21, 32]);
  });
});
