import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readPoolTraffic } from '../../../../operator/controller/pool-traffic.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

async function read(text: string) {
  using folder = temporaryFolder();
  const path = join(folder.path, 'traffic.yaml');
  await writeFile(path, text);
  return await readPoolTraffic(path);
}

describe('readPoolTraffic', () => {
  it('reads the rules of both directions as they stand', async () => {
    const traffic = await read('ingress: [{ports: [{port: 8080}]}]\negress: []\n');

    assert.deepEqual(traffic, { ingress: [{ ports: [{ port: 8080 }] }], egress: [] });
  });

  it('refuses a file that is silent about a direction: nobody could say what was meant', async () => {
    await assert.rejects(read('ingress: []\n'));
    await assert.rejects(read('{ingress: [], egress: [], egres: []}\n'));
    await assert.rejects(read(''));
  });
});
