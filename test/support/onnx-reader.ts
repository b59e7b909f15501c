// A reader of ONNX files for tests, written against onnx.proto3 and not against our encoder: it decodes any protobuf
// message to its fields by number, and names the few that tests look at.

type Field = number | bigint | Uint8Array;
type Message = Map<number, Field[]>;

const text = new TextDecoder();

/** Every field of a message, in order, by number; nothing is interpreted. */
export function readMessage(bytes: Uint8Array): Message {
  const fields: Message = new Map();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const readVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = view.getUint8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
  };
  while (at < bytes.length) {
    const key = Number(readVarint());
    const values = fields.get(key >> 3) ?? [];
    fields.set(key >> 3, values);
    if ((key & 7) === 0) values.push(readVarint());
    else if ((key & 7) === 5) {
      values.push(view.getFloat32(at, true));
      at += 4;
    } else if ((key & 7) === 2) {
      const length = Number(readVarint());
      if (at + length > bytes.length) throw new RangeError('a field is longer than its message');
      values.push(bytes.subarray(at, at + length));
      at += length;
    } else throw new RangeError(`wire type ${key & 7}`);
  }
  return fields;
}

const all = (message: Message, field: number) => message.get(field) ?? [];
const bytesOf = (field: Field | undefined) =>
  field instanceof Uint8Array ? field : new Uint8Array();
const string = (message: Message, field: number) => text.decode(bytesOf(all(message, field)[0]));
const strings = (message: Message, field: number) =>
  all(message, field).map((value) => text.decode(bytesOf(value)));
const number = (message: Message, field: number) => Number(all(message, field)[0] ?? 0);
const messages = (message: Message, field: number) =>
  all(message, field).map((value) => readMessage(bytesOf(value)));

export interface ReadNode {
  name: string;
  type: string;
  domain: string;
  inputs: string[];
  outputs: string[];
  attributes: Record<string, number | bigint | string | bigint[] | ReadGraph>;
}

export interface ReadPort {
  name: string;
  type: number;
  shape: (number | string)[];
  isSequence: boolean;
}

export interface ReadTensor {
  name: string;
  type: number;
  shape: number[];
  raw: Uint8Array;
  external: Record<string, string>;
  isExternal: boolean;
}

export interface ReadGraph {
  name: string;
  nodes: ReadNode[];
  constants: ReadTensor[];
  inputs: ReadPort[];
  outputs: ReadPort[];
}

export interface ReadModel {
  irVersion: number;
  opsets: Record<string, number>;
  graph: ReadGraph;
}

export function readModel(bytes: Uint8Array): ReadModel {
  const model = readMessage(bytes);
  const opsets = messages(model, 8).map((set) => [string(set, 1), number(set, 2)] as const);
  const [graph] = messages(model, 7);
  return {
    irVersion: number(model, 1),
    opsets: Object.fromEntries(opsets),
    graph: readGraph(graph ?? new Map()),
  };
}

function readGraph(graph: Message): ReadGraph {
  return {
    name: string(graph, 2),
    nodes: messages(graph, 1).map(readNode),
    constants: messages(graph, 5).map(readTensor),
    inputs: messages(graph, 11).map(readPort),
    outputs: messages(graph, 12).map(readPort),
  };
}

function readNode(node: Message): ReadNode {
  const attributes = messages(node, 5).map((a) => [string(a, 1), readAttribute(a)] as const);
  return {
    name: string(node, 3),
    type: string(node, 4),
    domain: string(node, 7),
    inputs: strings(node, 1),
    outputs: strings(node, 2),
    attributes: Object.fromEntries(attributes),
  };
}

/** By AttributeProto.type: 1 float, 2 int, 3 string, 5 graph, 7 ints. */
function readAttribute(attribute: Message): ReadNode['attributes'][string] {
  const [nested] = messages(attribute, 6);
  switch (number(attribute, 20)) {
    case 1:
      return all(attribute, 2)[0] as number;
    case 2:
      return all(attribute, 3)[0] as bigint;
    case 3:
      return string(attribute, 4);
    case 5:
      return readGraph(nested ?? new Map());
    case 7:
      return all(attribute, 8) as bigint[];
    default:
      throw new RangeError(`attribute type ${number(attribute, 20)}`);
  }
}

/** Packed varints of one field. */
function packed(bytes: Uint8Array): number[] {
  const values: number[] = [];
  let value = 0;
  let scale = 1;
  for (const byte of bytes) {
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) {
      values.push(value);
      value = 0;
      scale = 1;
    }
  }
  return values;
}

function readTensor(tensor: Message): ReadTensor {
  const external = messages(tensor, 13).map(
    (entry) => [string(entry, 1), string(entry, 2)] as const,
  );
  return {
    name: string(tensor, 8),
    type: number(tensor, 2),
    shape: packed(bytesOf(all(tensor, 1)[0])),
    raw: bytesOf(all(tensor, 9)[0]),
    external: Object.fromEntries(external),
    isExternal: number(tensor, 14) === 1,
  };
}

/** TypeProto: a tensor is field 1, a sequence field 4 with a TypeProto inside. */
function readPort(port: Message): ReadPort {
  const [outer] = messages(port, 2);
  const [sequence] = outer ? messages(outer, 4) : [];
  const inner = sequence ? messages(sequence, 1)[0] : outer;
  const [type] = inner ? messages(inner, 1) : [];
  const dims = type ? messages(type, 2).flatMap((shape) => messages(shape, 1)) : [];
  return {
    name: string(port, 1),
    type: type ? number(type, 1) : 0,
    shape: dims.map((dim) => (dim.has(2) ? string(dim, 2) : number(dim, 1))),
    isSequence: sequence !== undefined,
  };
}
