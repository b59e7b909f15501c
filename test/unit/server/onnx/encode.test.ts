import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { encodeModel } from '../../../../server/onnx/encode.ts';
import {
  float,
  graph,
  int,
  int32Tensor,
  int64Tensor,
  ints,
} from '../../../../server/onnx/graph.ts';
import { Tape } from '../../../../server/onnx/tape.ts';
import { type ReadGraph, readModel } from '../../../support/onnx-reader.ts';
import { floats, runGraph } from '../../../support/run-graph.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const x = { name: 'x', type: 'float32', shape: ['n', 2] } as const;

describe('encodeModel', () => {
  it('writes nodes, attributes, ports and constants that an independent reader finds again', () => {
    const tape = Tape.start('/m');
    const input = tape.input(x);
    const one = tape.constant('one', int32Tensor([1, -1], [2]));
    const attributes = { i: int(-3), f: float(0.5), list: ints(1, 2), s: { string: 'text' } };
    const value = tape.op('QuickGelu', [input, undefined, one], attributes);
    tape.output({ name: 'y', type: 'bfloat16', shape: [3, 'm'] }, value);

    const model = readModel(encodeModel(tape.finish()));

    assert.equal(model.irVersion, 10);
    assert.deepEqual(model.opsets, { '': 21, 'com.microsoft': 1 });
    const [node] = model.graph.nodes;
    assert.deepEqual(node, {
      name: '/m/QuickGelu',
      type: 'QuickGelu',
      domain: 'com.microsoft',
      inputs: ['x', '', 'one'],
      outputs: ['/m/QuickGelu/output_0'],
      attributes: { i: -3n, f: 0.5, list: [1n, 2n], s: 'text' },
    });
    const isSequence = false;
    assert.deepEqual(model.graph.inputs, [{ name: 'x', type: 1, shape: ['n', 2], isSequence }]);
    assert.deepEqual(model.graph.outputs, [{ name: 'y', type: 16, shape: [3, 'm'], isSequence }]);
    const [constant] = model.graph.constants;
    assert.deepEqual(constant?.shape, [2]);
    assert.equal(constant?.type, 6);
    assert.deepEqual(constant?.raw, Uint8Array.of(1, 0, 0, 0, 255, 255, 255, 255));
  });

  it('points at weights in files by their path under the root', () => {
    const tape = Tape.start('/m');
    const data = { file: '/volumes/a/w.safetensors', offset: 5_000_000_000, length: 8 };
    tape.constant('w', { type: 'float16', shape: [2, 2], data });

    const [constant] = readModel(encodeModel(tape.finish())).graph.constants;

    assert.equal(constant?.isExternal, true);
    const location = 'volumes/a/w.safetensors';
    assert.deepEqual(constant?.external, { location, offset: '5000000000', length: '8' });
  });

  it('nests graphs in attributes', () => {
    const tape = Tape.start('/m');
    const input = tape.input(x);
    const ports = { inputs: {}, outputs: { y: x } };
    const body = tape.subgraph('then', ports, (inner) => ({ y: inner.op('Neg', [input]) }));
    tape.op('If', [input], { then_branch: graph(body) });

    const [node] = readModel(encodeModel(tape.finish())).graph.nodes;

    const branch = node?.attributes['then_branch'] as ReadGraph;
    assert.deepEqual(
      branch.nodes.map(({ type }) => type),
      ['Neg', 'Identity'],
    );
  });

  it('writes lists of tensors as such', () => {
    const tape = Tape.start('/m');
    const list = { type: 'float32', shape: ['n', 2], isSequence: true } as const;
    const ports = { inputs: { done: list }, outputs: { after: list } };

    const body = tape.subgraph('body', ports, (inner, { done }) => ({
      after: inner.op('Identity', [done]),
    }));

    const { inputs, outputs } = readModel(encodeModel(body)).graph;
    assert.deepEqual(inputs, [
      { name: '/m/body/done', type: 1, shape: ['n', 2], isSequence: true },
    ]);
    assert.equal(outputs[0]?.isSequence, true);
  });

  it('gives a loop over a list that the runtime runs', async () => {
    const tape = Tape.start('/m');
    const input = tape.input(x);
    const list = { type: 'float32', shape: ['n', 2], isSequence: true } as const;
    const flag = { type: 'bool', shape: [] } as const;
    const ports = {
      inputs: { index: { type: 'int64', shape: [] }, goesOn: flag, done: list },
      outputs: { goesOnAfter: flag, doneAfter: list },
    } as const;
    const body = tape.subgraph('body', ports, (inner, { goesOn, done }) => ({
      goesOnAfter: inner.op('Identity', [goesOn]),
      doneAfter: inner.op('SequenceInsert', [done, input]),
    }));
    const times = tape.constant('times', int64Tensor([2], []));
    const none = tape.op('SequenceEmpty', [], { dtype: int(1) });
    const all = tape.op('Loop', [times, undefined, none], { body: graph(body) });
    const y = tape.op('ConcatFromSequence', [all], { axis: int(0) });
    tape.output({ name: 'y', type: 'float32', shape: ['m', 2] }, y);

    const outputs = await runGraph(tape.finish(), { x: floats([1, 2], [1, 2]) });

    assert.deepEqual(outputs['y']?.data, [1, 2, 1, 2]);
  });

  it('gives a model that the runtime loads and runs, with weights at any offset of a file', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'weights.bin');
    const weights = new Uint8Array(Float32Array.of(10, 20, 30, 40).buffer);
    writeFileSync(file, Buffer.concat([Buffer.of(1, 2, 3), weights]));
    const tape = Tape.start('/m');
    const data = { file, offset: 3, length: 16 };
    const w = tape.constant('w', { type: 'float32', shape: [2, 2], data });
    const product = tape.op('Gemm', [tape.input(x), w], { transB: int(1) });
    tape.output({ name: 'y', type: 'float32', shape: ['n', 2] }, product);

    const { y } = await runGraph(tape.finish(), { x: floats([1, 2], [1, 2]) });

    assert.deepEqual(y?.data, [50, 110]);
  });
});
