// In which numbers a checkpoint is stored, as its config.json says.
import { z } from 'zod';
import type { FloatType } from '../../quant/decode.ts';

const types = z.object({ torch_dtype: z.unknown(), dtype: z.unknown() }).partial();

/** Under either name. */
export function storedType(config: unknown): FloatType {
  const { dtype, torch_dtype: older } = types.parse(config);
  const type = dtype ?? older;
  return type === 'bfloat16' || type === 'float16' ? type : 'float32';
}
