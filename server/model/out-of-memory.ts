// Which of the runtime's messages say that memory ran out, and whose. Pure.
import type { Provider } from '../onnx/target.ts';

const ofHost = /bad_alloc|bad allocation/i;
/** Of its arenas, of CUDA (error 2) and of the libraries on top of it. */
const ofAny =
  /failed to allocate|out of memory|cuda failure 2:|(CUBLAS|CUDNN|CURAND)_STATUS_ALLOC\w*/i;

/** Undefined: it says something else. */
export function memoryCode(
  message: string,
  provider: Provider,
): 'OUT_OF_MEMORY' | 'OUT_OF_DEVICE_MEMORY' | undefined {
  if (ofHost.test(message)) return 'OUT_OF_MEMORY';
  if (!ofAny.test(message)) return undefined;
  return provider === 'CUDA' ? 'OUT_OF_DEVICE_MEMORY' : 'OUT_OF_MEMORY';
}
