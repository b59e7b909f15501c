// What a model computes on.

export const providers = ['CPU', 'CUDA'] as const;
/** Of ONNX Runtime. */
export type Provider = (typeof providers)[number];

export const numberTypes = ['Float32', 'BFloat16', 'Float16'] as const;
/** What a GPU computes with. A CPU has Float32 only. */
export type NumberType = (typeof numberTypes)[number];

/** How a checkpoint stores its numbers. */
export type StoredType = 'float32' | 'bfloat16' | 'float16';

/** What a model computes with: on a GPU what is asked, else what the checkpoint has, and 16 bits for one in Float32. */
export function numberTypeFor(
  provider: Provider,
  { asked, stored }: { asked?: NumberType; stored: StoredType },
): NumberType {
  if (provider === 'CPU') return 'Float32';
  return asked ?? (stored === 'float16' ? 'Float16' : 'BFloat16');
}
