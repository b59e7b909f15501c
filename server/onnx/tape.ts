// Records a graph in the order it is written: `tape.op(type, inputs, attributes)` adds a node and gives its value.
// Nodes are named by their path ("/model/layers.0/attn/q_proj/Gemm"), so that a message of the runtime names the place.
import {
  type Attributes,
  type Graph,
  graph,
  int,
  type Node,
  type Port,
  type Tensor,
} from './graph.ts';

/** A value in the graph: the output of a node, an input, or a constant. */
export interface Value {
  readonly name: string;
}

/** Operators of domain com.microsoft; every other one is ai.onnx. */
const contributed = new Set([
  'GatedRMSNorm',
  'GatherBlockQuantized',
  'GroupQueryAttention',
  'MatMulBnb4',
  'MatMulNBits',
  'PagedAttention',
  'QuickGelu',
  'RotaryEmbedding',
  'SkipLayerNormalization',
  'SkipSimplifiedLayerNormalization',
]);

/** What one graph has recorded so far; every tape of that graph writes to it. */
interface Recording {
  readonly inputs: Port[];
  readonly outputs: Port[];
  readonly constants: Map<string, Tensor>;
  readonly nodes: Node[];
  /** Shared with subgraphs: a name must be unique in all of them. */
  readonly taken: Map<string, number>;
  /** What `once` has recorded. */
  readonly recorded: Map<string, Value>;
}

const emptyRecording = (): Recording => ({
  inputs: [],
  outputs: [],
  constants: new Map(),
  nodes: [],
  taken: new Map(),
  recorded: new Map(),
});

/** Inputs or outputs of a subgraph by name. */
type Ports = Readonly<Record<string, Omit<Port, 'name'>>>;

type Recorder<O> = (tape: Tape) => { [K in keyof O]: Value };

export class Tape {
  readonly #path: string;
  readonly #recording: Recording;
  readonly #prefix: string;

  private constructor(path: string, recording: Recording, prefix = '') {
    this.#path = path;
    this.#recording = recording;
    this.#prefix = prefix;
  }

  static start(path: string): Tape {
    return new Tape(path, emptyRecording());
  }

  /** The same graph, one folder deeper. */
  at(folder: string): Tape {
    return new Tape(`${this.#path}/${folder}`, this.#recording, this.#prefix);
  }

  /** As `at`, with constants of its own: of another model, whose tensors have the same names. */
  apart(folder: string): Tape {
    return new Tape(`${this.#path}/${folder}`, this.#recording, `${folder}:`);
  }

  input(port: Port): Value {
    this.#recording.inputs.push(port);
    return port;
  }

  /** A constant under its own name, not a path: the same name given twice is the same constant. */
  constant(name: string, tensor: Tensor): Value {
    const full = this.#prefix + name;
    if (!this.#recording.constants.has(full)) this.#recording.constants.set(full, tensor);
    return { name: full };
  }

  /** What `record` gives, recorded the first time only: for what follows from a constant alone. */
  once(name: string, record: () => Value): Value {
    const { recorded } = this.#recording;
    const known = recorded.get(name) ?? record();
    recorded.set(name, known);
    return known;
  }

  op(type: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}): Value {
    const [value] = this.ops(type, inputs, attributes, ['output_0']);
    return value;
  }

  /** As `op`, for several outputs by name. One named '' is absent from the node and must not be used. */
  ops<const N extends readonly string[]>(
    type: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes,
    outputs: N,
  ): { [K in keyof N]: Value };
  ops(
    type: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes,
    outputs: readonly string[],
  ): readonly Value[] {
    const name = this.#unique(`${this.#path}/${type}`);
    const values = outputs.map((output) => ({ name: output === '' ? '' : `${name}/${output}` }));
    this.#recording.nodes.push({
      name,
      type,
      domain: contributed.has(type) ? 'com.microsoft' : '',
      inputs: inputs.map((input) => input?.name ?? ''),
      outputs: values.map((value) => value.name),
      attributes,
    });
    return values;
  }

  /** Names `value` as an output of the graph. */
  output(port: Port, value: Value): void {
    const { nodes, outputs } = this.#recording;
    const name = this.#unique(`${this.#path}/Identity`);
    const io = { inputs: [value.name], outputs: [port.name] };
    nodes.push({ name, type: 'Identity', domain: '', ...io, attributes: {} });
    outputs.push(port);
  }

  /**
   * A graph for an attribute (the body of Scan, a branch of If). It may use every value of this graph.
   * Inputs are those of `ports`, in order; `record` gives a value for each name in `outputs`, in that order.
   */
  subgraph<I extends Ports, O extends Ports>(
    folder: string,
    ports: { inputs: I; outputs: O },
    record: (tape: Tape, inputs: { [K in keyof I]: Value }) => { [K in keyof O]: Value },
  ): Graph {
    const path = `${this.#path}/${folder}`;
    const recording = { ...emptyRecording(), taken: this.#recording.taken };
    const inner = new Tape(path, recording, this.#prefix);
    const named = (name: string, port: Omit<Port, 'name'>) => ({
      ...port,
      name: `${path}/${name}`,
    });
    const inputs = mapPorts(ports.inputs, (name, port) => inner.input(named(name, port)));
    const values: Record<string, Value> = record(inner, inputs);
    mapPorts(ports.outputs, (name, port) => {
      const value = values[name];
      if (value) inner.output(named(name, port), value);
    });
    return inner.finish();
  }

  /** Scan: the values that a body over slices of `inputs` gives, by name, put together again. */
  scan<I extends Ports, O extends Ports>(
    folder: string,
    ports: { inputs: I; outputs: O },
    inputs: { [K in keyof I]: Value },
    record: (tape: Tape, inputs: { [K in keyof I]: Value }) => { [K in keyof O]: Value },
  ): { [K in keyof O]: Value } {
    const slices = Object.keys(ports.inputs).map((name) => inputs[name]);
    const body = graph(this.subgraph(folder, ports, record));
    const names = Object.keys(ports.outputs);
    const attributes = { body, num_scan_inputs: int(slices.length) };
    return byName(ports.outputs, this.ops('Scan', slices, attributes, names));
  }

  /** If: the values that one branch gives, by name. The other does not run. */
  choose<O extends Ports>(
    condition: Value,
    outputs: O,
    whenTrue: Recorder<O>,
    whenFalse: Recorder<O>,
  ): { [K in keyof O]: Value } {
    const names = Object.keys(outputs);
    const record = (prefix: string, write: Recorder<O>) =>
      graph(this.subgraph(prefix + names.join('_'), { inputs: {}, outputs }, write));
    const attributes = {
      then_branch: record('', whenTrue),
      else_branch: record('no_', whenFalse),
    };
    const values = this.ops('If', [condition], attributes, names);
    return byName(outputs, values);
  }

  finish(): Graph {
    const { inputs, outputs, constants, nodes } = this.#recording;
    return { name: this.#path, inputs, outputs, constants, nodes };
  }

  #unique(name: string): string {
    const count = this.#recording.taken.get(name) ?? 0;
    this.#recording.taken.set(name, count + 1);
    return count === 0 ? name : `${name}_${count}`;
  }
}

/** `values` in the order of `ports`. */
function byName<P extends Ports>(ports: P, values: readonly Value[]): { [K in keyof P]: Value } {
  const names = Object.keys(ports);
  return mapPorts(ports, (name) => values[names.indexOf(name)] ?? { name: '' });
}

function mapPorts<P extends Ports, T>(
  ports: P,
  map: (name: string, port: Omit<Port, 'name'>) => T,
): { [K in keyof P]: T };
function mapPorts<T>(
  ports: Ports,
  map: (name: string, port: Omit<Port, 'name'>) => T,
): Record<string, T> {
  return Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, map(name, port)]));
}
