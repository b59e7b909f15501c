import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Read, readSharedLibrary } from '../../../../../server/model/cuda/elf.ts';
import { sharedLibrary } from '../../../../support/elf.ts';

const reading =
  (bytes: Buffer): Read =>
  async (offset, length) =>
    bytes.subarray(offset, offset + length);

describe('readSharedLibrary', () => {
  it('names what the library needs, in its order', async () => {
    const needed = ['libcudart.so.13', 'libcublas.so.13', 'libc.so.6'];

    const library = await readSharedLibrary(reading(sharedLibrary({ needed })));

    assert.deepEqual(library.needed, needed);
  });

  it('says where the constants lie', async () => {
    const bytes = sharedLibrary({ needed: ['libc.so.6'], constants: 'ORT Build Info' });

    const { constants } = await readSharedLibrary(reading(bytes));

    const { offset, length } = constants;
    assert.equal(bytes.toString('latin1', offset, offset + length), 'ORT Build Info');
  });

  it('finds nothing in a library that needs nothing', async () => {
    assert.deepEqual((await readSharedLibrary(reading(sharedLibrary({})))).needed, []);
  });

  it('refuses what is no library', async () => {
    for (const bytes of [Buffer.from('#!/bin/sh\n'), Buffer.alloc(100), Buffer.alloc(0)]) {
      await assert.rejects(readSharedLibrary(reading(bytes)), { code: 'PROVIDER_UNAVAILABLE' });
    }
  });
});
