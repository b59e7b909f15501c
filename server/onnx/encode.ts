// A graph as the bytes of an ONNX ModelProto. Knows the field numbers of onnx.proto3, not what operators do.
// Source: onnx/onnx, onnx/onnx.proto3
import {
  type Attribute,
  dataTypes,
  type FileRange,
  type Graph,
  type Node,
  type Port,
  type Tensor,
} from './graph.ts';
import {
  bytesField,
  concat,
  floatField,
  intField,
  messageField,
  stringField,
  varint,
} from './protobuf.ts';

const irVersion = 10;
/** Operator sets that our graphs are written against. */
const opsets = { '': 21, 'com.microsoft': 1 };

/** ModelProto. Weights in files are named relative to "/": the session must be given that base folder. */
export function encodeModel(graph: Graph): Uint8Array {
  return concat([
    intField(1, irVersion),
    stringField(2, 'refmodel'),
    messageField(7, ...graphParts(graph)),
    ...Object.entries(opsets).map(([domain, version]) =>
      messageField(8, stringField(1, domain), intField(2, version)),
    ),
  ]);
}

function graphParts(graph: Graph): Uint8Array[] {
  return [
    ...graph.nodes.map((node) => messageField(1, ...nodeParts(node))),
    stringField(2, graph.name),
    ...[...graph.constants].map(([name, tensor]) => messageField(5, ...tensorParts(name, tensor))),
    ...graph.inputs.map((port) => messageField(11, ...portParts(port))),
    ...graph.outputs.map((port) => messageField(12, ...portParts(port))),
  ];
}

function nodeParts(node: Node): Uint8Array[] {
  return [
    ...node.inputs.map((name) => stringField(1, name)),
    ...node.outputs.map((name) => stringField(2, name)),
    stringField(3, node.name),
    stringField(4, node.type),
    ...Object.entries(node.attributes).map(([name, value]) =>
      messageField(5, stringField(1, name), ...attributeParts(value)),
    ),
    stringField(7, node.domain),
  ];
}

/** The value and its AttributeType (field 20). */
function attributeParts(attribute: Attribute): Uint8Array[] {
  if ('float' in attribute) return [floatField(2, attribute.float), intField(20, 1)];
  if ('int' in attribute) return [intField(3, attribute.int), intField(20, 2)];
  if ('string' in attribute) return [stringField(4, attribute.string), intField(20, 3)];
  if ('graph' in attribute)
    return [messageField(6, ...graphParts(attribute.graph)), intField(20, 5)];
  return [...attribute.ints.map((value) => intField(8, value)), intField(20, 7)];
}

function tensorParts(name: string, { type, shape, data }: Tensor): Uint8Array[] {
  return [
    bytesField(1, concat(shape.map(varint))), // packed
    intField(2, dataTypes[type]),
    stringField(8, name),
    ...(data instanceof Uint8Array ? [bytesField(9, data)] : externalParts(data)),
  ];
}

function externalParts({ file, offset, length }: FileRange): Uint8Array[] {
  const entries = { location: file.replace(/^\//, ''), offset: `${offset}`, length: `${length}` };
  return [
    ...Object.entries(entries).map(([key, value]) =>
      messageField(13, stringField(1, key), stringField(2, value)),
    ),
    intField(14, 1), // DataLocation EXTERNAL
  ];
}

function portParts({ name, type, shape, isSequence }: Port): Uint8Array[] {
  const dims = shape.map((dim) =>
    messageField(1, typeof dim === 'number' ? intField(1, dim) : stringField(2, dim)),
  );
  const tensorType = messageField(1, intField(1, dataTypes[type]), messageField(2, ...dims));
  // TypeProto: a tensor is field 1, a sequence field 4, which holds a TypeProto again
  const valueType = isSequence ? messageField(4, messageField(1, tensorType)) : tensorType;
  return [stringField(1, name), messageField(2, valueType)];
}
