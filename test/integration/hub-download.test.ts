// Downloads in processes of their own: killed in the middle, several at once, out of room.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { filesOf, HubServer, sha256 } from '../support/hub-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const program = path.resolve(import.meta.dirname, '../support/hub-download.ts');
const weights = Buffer.alloc(4 << 20, 'some weights ');
const files = { ...filesOf('test/golden/llama'), 'model.safetensors': weights };
const blobs = (cache: string) => path.join(cache, 'hub/models--a--b/blobs');

/** `limit` goes before the program. */
function download(server: HubServer, cache: string, limit = ''): ChildProcess {
  const command = `${limit} exec "$0" --import tsx "$@"`;
  const args = ['-c', command, process.execPath, program, server.endpoint, cache];
  return spawn('bash', args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function resultOf(child: ChildProcess): Promise<Record<string, string>> {
  return JSON.parse(await text(child.stdout!)) as Record<string, string>;
}

const partOf = (cache: string) => {
  const name = readdirSync(blobs(cache)).find((each) => each.startsWith(sha256(weights)));
  assert.ok(name, 'a part is there');
  return statSync(path.join(blobs(cache), name)).size;
};

describe('a process that downloads', () => {
  it('is killed in the middle, and the next one transfers only the rest', async () => {
    using folder = temporaryFolder();
    await using server = await HubServer.start({ 'a/b': { files } });
    server.fault({ at: 'storage', slowMs: 20 });
    const first = download(server, folder.path);
    await eventually(() => {
      assert.ok(partOf(folder.path) > 1 << 20, 'a quarter is there');
    });
    first.kill('SIGKILL');
    await once(first, 'exit');
    const part = partOf(folder.path);

    const { path: at, root } = await resultOf(download(server, folder.path));

    const last = server.requests.findLast((request) => request.at === 'storage');
    assert.ok(part < weights.length, 'it was killed in the middle');
    assert.equal(last?.range, `bytes=${part}-`);
    assert.equal(last?.sent, weights.length - part);
    assert.ok(readFileSync(path.join(root!, at!, 'model.safetensors')).equals(weights), 'whole');
    assert.ok(
      readdirSync(blobs(folder.path)).every((name) => !name.endsWith('.incomplete')),
      'tidy',
    );
  });

  it('shares the folder with others', async () => {
    using folder = temporaryFolder();
    await using server = await HubServer.start({ 'a/b': { files } });
    server.fault({ at: 'storage', slowMs: 5, times: 3 });

    const results = await Promise.all([1, 2, 3].map(() => resultOf(download(server, folder.path))));

    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
    const { root = '', path: at = '' } = results[0] ?? {};
    assert.ok(readFileSync(path.join(root, at, 'model.safetensors')).equals(weights), 'whole');
  });

  it('says DISK_FULL when no more can be written, and keeps what is there', async () => {
    using folder = temporaryFolder();
    await using server = await HubServer.start({ 'a/b': { files } });

    const { code } = await resultOf(download(server, folder.path, 'ulimit -f 1024;'));

    assert.equal(code, 'DISK_FULL');
    assert.equal(partOf(folder.path), 1 << 20);
  });
});
