import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { failureCode } from '../../../../server/model/runtime-failure.ts';

const cuda = (failure: string) => `CUDA failure ${failure} ; GPU=0 ; hostname=pod ; file=cuda.cc ;`;

describe('failureCode', () => {
  const ofDevice: Record<string, string[]> = {
    OUT_OF_DEVICE_MEMORY: [
      'Non-zero status code returned while running Gemm node: bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 2147483648',
      cuda('2: out of memory'),
      'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; expr=cublasCreate(&cublas_handle_)',
      'CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0',
    ],
    PROVIDER_UNAVAILABLE: [
      cuda('35: CUDA driver version is insufficient for CUDA runtime version'),
      cuda('100: no CUDA-capable device is detected'),
      cuda('209: no kernel image is available for execution on the device'),
      'Failed to load library libonnxruntime_providers_cuda.so with error: libcublas.so.13',
    ],
    RUNNER_DIED: [
      cuda('700: an illegal memory access was encountered'),
      cuda('719: unspecified launch failure'),
      cuda('214: uncorrectable ECC error encountered'),
    ],
  };
  for (const [code, messages] of Object.entries(ofDevice)) {
    for (const message of messages) {
      it(`calls "${message.slice(0, 20)}…${message.slice(-40)}" ${code} on a GPU`, () => {
        assert.equal(failureCode(message, 'CUDA'), code);
      });
    }
  }

  it('knows whose memory ran out', () => {
    assert.equal(failureCode('Failed to allocate memory for buffer', 'CPU'), 'OUT_OF_MEMORY');
    assert.equal(failureCode('std::bad_alloc', 'CUDA'), 'OUT_OF_MEMORY');
  });

  it('says nothing of other failures', () => {
    for (const message of [cuda('1: invalid argument'), 'Invalid rank for input: tokens']) {
      assert.equal(failureCode(message, 'CUDA'), undefined);
    }
  });
});
