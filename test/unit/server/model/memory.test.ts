import assert from 'node:assert/strict';
import { totalmem } from 'node:os';
import { describe, it } from 'node:test';
import {
  addBytes,
  describeBytes,
  fitsIn,
  hostMemory,
  mappedBytes,
  oomKills,
  weightMemory,
} from '../../../../server/model/memory.ts';

describe('bytes', () => {
  it('add up and fit by host and by device', () => {
    const sum = addBytes({ host: 1, device: 2 }, { host: 3, device: 4 });

    assert.deepEqual(sum, { host: 4, device: 6 });
    assert.ok(fitsIn(sum, { host: 4, device: 6 }));
    assert.ok(!fitsIn(sum, { host: 3, device: 9 }));
    assert.ok(!fitsIn(sum, { host: 9, device: 5 }));
  });

  it('of the machine are at least what this process holds', () => {
    assert.ok(hostMemory() > process.memoryUsage().rss, `${hostMemory()} bytes`);
    assert.ok(hostMemory() <= totalmem(), `${hostMemory()} bytes`);
  });

  it('read well in a message', () => {
    assert.equal(describeBytes(2 ** 31), '2.00 GiB (2147483648 bytes)');
  });
});

describe('mappedBytes', () => {
  it('counts each byte of a file once, and no shared library, no GPU, no anonymous memory', () => {
    const maps = [
      '1000-3000 r--p 00000000 fe:00 11                         /models/a b.safetensors',
      '5000-7000 r--p 00001000 fe:00 11                         /models/a b.safetensors',
      '8000-9000 r--p 00000000 fe:00 12                         /models/other',
      '7000-8000 rw-s 00000000 00:05 14                         /dev/nvidia-uvm',
      '9000-a000 r-xp 00000000 fe:00 13                         /lib/libonnxruntime.so.1',
      'a000-b000 rw-p 00000000 00:00 0                          [heap]',
      'b000-c000 rw-p 00000000 00:00 0 ',
    ].join('\n');

    assert.equal(mappedBytes(maps), 0x3000 + 0x1000);
  });
});

describe('weightMemory', () => {
  it('is undefined for a process that is not there', async () => {
    assert.equal(await weightMemory(2 ** 30), undefined);
  });

  it('grows with private memory', { skip: process.platform !== 'linux' }, async () => {
    const before = (await weightMemory(process.pid)) ?? Number.NaN;

    const bytes = Buffer.alloc(64 << 20, 1);

    const grown = ((await weightMemory(process.pid)) ?? Number.NaN) - before;
    assert.ok(grown > 50 << 20, `${grown} bytes more for ${bytes.length}`);
  });
});

describe('oomKills', () => {
  it('does not change when nothing is killed', async () => {
    assert.equal(await oomKills(), await oomKills());
  });
});
