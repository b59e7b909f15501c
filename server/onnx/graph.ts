// An ONNX graph as plain immutable data. Knows the words of the format, not its bytes and not its meaning.

export type ElementType = 'float32' | 'float16' | 'bfloat16' | 'int32' | 'int64' | 'uint8' | 'bool';

/** The numbers of TensorProto.DataType in onnx.proto3. */
export const dataTypes = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
} as const satisfies Record<ElementType, number>;

/** Where bytes lie outside the model: an absolute path and a range in that file. */
export interface FileRange {
  readonly file: string;
  /** bytes */
  readonly offset: number;
  /** bytes */
  readonly length: number;
}

/** A constant. Small ones carry their little-endian bytes, weights stay where they are. */
export interface Tensor {
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: Uint8Array | FileRange;
}

/** A graph input or output. A dimension that varies is a name. */
export interface Port {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly (number | string)[];
  /** A list of such tensors. */
  readonly isSequence?: boolean;
}

export type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] }
  | { readonly string: string }
  | { readonly graph: Graph };

export type Attributes = Readonly<Record<string, Attribute>>;

export interface Node {
  readonly name: string;
  readonly type: string;
  /** '' is ai.onnx */
  readonly domain: string;
  /** '' where an optional input or output is absent */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

export interface Graph {
  readonly name: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly constants: ReadonlyMap<string, Tensor>;
  readonly nodes: readonly Node[];
}

export const int = (value: number): Attribute => ({ int: value });
export const float = (value: number): Attribute => ({ float: value });
export const ints = (...values: number[]): Attribute => ({ ints: values });
export const string = (value: string): Attribute => ({ string: value });
export const graph = (value: Graph): Attribute => ({ graph: value });

export const float32Tensor = (values: Float32Array, shape: readonly number[]): Tensor => ({
  type: 'float32',
  shape,
  data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
});

export const uint8Tensor = (data: Uint8Array, shape: readonly number[]): Tensor => ({
  type: 'uint8',
  shape,
  data,
});

export const int32Tensor = (values: readonly number[], shape: readonly number[]): Tensor => ({
  type: 'int32',
  shape,
  data: new Uint8Array(Int32Array.from(values).buffer),
});

export const int64Tensor = (values: readonly number[], shape: readonly number[]): Tensor => ({
  type: 'int64',
  shape,
  data: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
});
