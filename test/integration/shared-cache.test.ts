// Five servers over one cache folder, as five pods on one volume.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, watch } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { checkpoint, startServerProcess } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const model = checkpoint('rl/llama', 'examples/models/tiny-python-llama', { quantization: 'Int8' });
const input_ids = [[1, 5, 9, 14, 3]];

async function score(url: string): Promise<unknown> {
  const res = await fetch(`${url}/v1/logprobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: model.name, input_ids }),
  });
  assert.equal(res.status, 200);
  const { data } = (await res.json()) as { data: unknown };
  return data;
}

describe('servers that share a cache folder', () => {
  it('convert a model once when all are asked for it together, and answer the same', async () => {
    using folder = temporaryFolder();
    const converted = path.join(folder.path, 'converted');
    mkdirSync(converted);
    const appeared: string[] = [];
    const watcher = watch(converted, (event, name) => {
      if (event === 'rename' && name) appeared.push(name);
    });
    const starts = Array.from({ length: 5 }, () =>
      startServerProcess([model], { REFMODEL_CACHE_DIR: folder.path }),
    );
    const servers = await Promise.all(starts);
    await using _ = {
      async [Symbol.asyncDispose]() {
        await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
      },
    };

    const answers = await Promise.all(servers.map(({ url }) => score(url)));

    watcher.close();
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    const files = readdirSync(converted);
    assert.equal(files.length, 1);
    assert.deepEqual(appeared, files);
  });
});
