// What the runtime's messages mean, where they mean something besides that it failed. Pure.
import type { ErrorCode } from '../../common/errors.ts';
import type { Provider } from '../onnx/target.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly says: RegExp;
}

const ofHost: Meaning = { code: 'OUT_OF_MEMORY', says: /bad_alloc|bad allocation/i };
/** Of its arenas, of CUDA (error 2) and of the libraries on top of it. */
const ofAny =
  /failed to allocate|out of memory|cuda failure 2:|(CUBLAS|CUDNN|CURAND)_STATUS_ALLOC\w*/i;

const meanings: Readonly<Record<Provider, readonly Meaning[]>> = {
  CPU: [ofHost, { code: 'OUT_OF_MEMORY', says: ofAny }],
  CUDA: [
    ofHost,
    { code: 'OUT_OF_DEVICE_MEMORY', says: ofAny },
    // The driver is too old, there is no device, none that it has kernels for, or a library could not be loaded.
    { code: 'PROVIDER_UNAVAILABLE', says: /cuda failure (34|35|36|46|100|101|209|803|804):/i },
    { code: 'PROVIDER_UNAVAILABLE', says: /failed to load (shared )?library/i },
    // What went wrong stays wrong until the process ends: a kernel failed, or the card itself.
    { code: 'RUNNER_DIED', says: /cuda failure (214|220|226|7\d\d|999):/i },
  ],
};

/** Undefined: nothing more is known. */
export const failureCode = (message: string, provider: Provider): ErrorCode | undefined =>
  meanings[provider].find(({ says }) => says.test(message))?.code;
