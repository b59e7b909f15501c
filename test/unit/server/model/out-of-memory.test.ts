import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryCode } from '../../../../server/model/out-of-memory.ts';

describe('memoryCode', () => {
  const ofDevice = [
    '[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Gemm node: bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 2147483648',
    'CUDA failure 2: out of memory ; GPU=0 ; hostname=pod ; file=cuda_allocator.cc ; line=49 ; expr=cudaMalloc((void**)&p, size);',
    'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=pod ; expr=cublasCreate(&cublas_handle_)',
    'CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0',
  ];
  for (const message of ofDevice) {
    it(`knows "${message.slice(0, 24)}…" for the end of the memory of a GPU`, () => {
      assert.equal(memoryCode(message, 'CUDA'), 'OUT_OF_DEVICE_MEMORY');
    });
  }

  it('knows whose memory ran out', () => {
    assert.equal(memoryCode('Failed to allocate memory for buffer', 'CPU'), 'OUT_OF_MEMORY');
    assert.equal(memoryCode('std::bad_alloc', 'CUDA'), 'OUT_OF_MEMORY');
  });

  it('says nothing of other failures', () => {
    for (const message of [
      'CUDA failure 700: an illegal memory access was encountered ; GPU=0',
      'CUDA failure 209: no kernel image is available',
      'Invalid rank for input: tokens',
    ]) {
      assert.equal(memoryCode(message, 'CUDA'), undefined);
    }
  });
});
