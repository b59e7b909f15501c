import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { downloadBlob } from '../../../../../server/model/hub/download.ts';
import { HubClient } from '../../../../../server/model/hub/request.ts';
import { HastyClock, neverAborted, settingsFor } from '../../../../support/hub-kit.ts';
import { etagOf, HubServer } from '../../../../support/hub-server.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251));
const name = 'model.safetensors';
const etag = etagOf(name, content);
const files: Record<string, Buffer> = {
  [name]: content,
  'config.json': Buffer.from('{"a": 1}'),
  'empty.txt': Buffer.of(),
};

interface Try {
  server: HubServer;
  blobs: string;
  file?: string;
  size?: number;
  onBytes?: (bytes: number) => void;
  signal?: AbortSignal;
}

async function download({ server, blobs, file = name, size, onBytes, signal }: Try): Promise<void> {
  const clock = new HastyClock();
  await using client = new HubClient(settingsFor(server), clock);
  const bytes = files[file] ?? content;
  await downloadBlob(
    {
      client,
      repo: 'a/b',
      commit: server.commit('a/b', files),
      file: { name: file, size: size ?? bytes.length, etag: etagOf(file, bytes) },
      blobs,
      onBytes: onBytes ?? (() => {}),
      clock,
    },
    signal ?? neverAborted,
  );
}

const start = () => HubServer.start({ 'a/b': { files } });

describe('downloadBlob', () => {
  for (const file of Object.keys(files)) {
    it(`puts ${file} under the name of its content`, async () => {
      using folder = temporaryFolder();
      await using server = await start();

      await download({ server, blobs: folder.path, file });

      const expected = files[file] ?? Buffer.of();
      assert.deepEqual(readdirSync(folder.path), [etagOf(file, expected)]);
      assert.deepEqual(readFileSync(path.join(folder.path, etagOf(file, expected))), expected);
    });
  }

  it('transfers nothing when the content is there', async () => {
    using folder = temporaryFolder();
    await using server = await start();
    let bytes = 0;
    await download({ server, blobs: folder.path });
    const before = server.requests.length;

    await download({ server, blobs: folder.path, onBytes: (more) => (bytes += more) });

    assert.equal(server.requests.length, before);
    assert.equal(bytes, content.length);
  });

  it('goes on where a connection was cut, as often as that happens', async () => {
    using folder = temporaryFolder();
    await using server = await start();
    server.fault({ at: 'storage', cutAfter: 30_000, times: 8 });
    let bytes = 0;

    await download({ server, blobs: folder.path, onBytes: (more) => (bytes += more) });

    assert.deepEqual(readFileSync(path.join(folder.path, etag)), content);
    assert.equal(bytes, content.length);
    assert.ok(server.bytesSent < content.length * 1.5, `${server.bytesSent} bytes were sent`);
  });

  it('gives up when nothing arrives any more, and keeps what arrived for the next time', async () => {
    using folder = temporaryFolder();
    await using server = await start();
    server.fault({ at: 'storage', cutAfter: 200_000 }, { at: 'storage', status: 500, times: 6 });
    await assert.rejects(download({ server, blobs: folder.path }), { code: 'HUB_UNREACHABLE' });
    const [left] = readdirSync(folder.path);
    const { length } = readFileSync(path.join(folder.path, left!));

    await download({ server, blobs: folder.path });

    assert.equal(left, `${etag}.incomplete`);
    assert.equal(server.requests.at(-1)?.sent, content.length - length);
    assert.deepEqual(readdirSync(folder.path), [etag]);
  });

  it('begins anew with a server that knows no ranges', async () => {
    using folder = temporaryFolder();
    await using server = await start();
    server.fault({ at: 'storage', cutAfter: 100_000 }, { at: 'storage', ignoresRange: true });
    let bytes = 0;

    await download({ server, blobs: folder.path, onBytes: (more) => (bytes += more) });

    assert.deepEqual(readFileSync(path.join(folder.path, etag)), content);
    assert.equal(bytes, content.length);
  });

  it('throws away what was left of other content, once', async () => {
    using folder = temporaryFolder();
    await using server = await start();
    writeFileSync(path.join(folder.path, `${etag}.incomplete`), 'of a broken disk');

    await download({ server, blobs: folder.path });

    assert.deepEqual(readFileSync(path.join(folder.path, etag)), content);
  });

  it('throws away what is longer than the file', async () => {
    using folder = temporaryFolder();
    await using server = await start();
    writeFileSync(path.join(folder.path, `${etag}.incomplete`), Buffer.concat([content, content]));

    await download({ server, blobs: folder.path });

    assert.deepEqual(readdirSync(folder.path), [etag]);
  });

  it('downloads again over a content of the wrong size', async () => {
    using folder = temporaryFolder();
    await using server = await start();
    writeFileSync(path.join(folder.path, etag), 'cut');

    await download({ server, blobs: folder.path });

    assert.deepEqual(readFileSync(path.join(folder.path, etag)), content);
  });

  for (const [file, fault] of [
    [name, { at: 'storage', isGarbled: true, times: 2 }],
    ['config.json', { at: 'resolve', isGarbled: true, times: 2 }],
  ] as const) {
    it(`says DOWNLOAD_CORRUPT when ${file} is another one, twice`, async () => {
      using folder = temporaryFolder();
      await using server = await start();
      server.fault(fault);

      await assert.rejects(download({ server, blobs: folder.path, file }), {
        code: 'DOWNLOAD_CORRUPT',
      });

      const left = readdirSync(folder.path).map((each) => path.join(folder.path, each));
      assert.deepEqual(
        left.map((each) => readFileSync(each).length),
        [0],
      );
    });
  }

  it('says DOWNLOAD_CORRUPT when there is more than the hub tells', async () => {
    using folder = temporaryFolder();
    await using server = await start();

    const fails = download({ server, blobs: folder.path, size: content.length - 1 });

    await assert.rejects(fails, { code: 'DOWNLOAD_CORRUPT' });
  });

  it('says CONFIGURATION_INVALID when the folder cannot be written', async () => {
    using folder = temporaryFolder();
    await using server = await start();
    const blobs = path.join(folder.path, 'file');
    writeFileSync(blobs, '');

    await assert.rejects(download({ server, blobs }), { code: 'CONFIGURATION_INVALID' });
  });

  it('stops with the reason of the signal, and leaves its part', async () => {
    using folder = temporaryFolder();
    await using server = await start();
    server.fault({ at: 'storage', slowMs: 5 });
    const reason = new Error('given up');
    const giveUp = new AbortController();

    const stopped = download({
      server,
      blobs: folder.path,
      onBytes: () => giveUp.abort(reason),
      signal: giveUp.signal,
    });

    await assert.rejects(stopped, reason);
    assert.deepEqual(readdirSync(folder.path), [`${etag}.incomplete`]);
  });

  it('is safe with many at once, whatever each of them meets', async () => {
    const cut = fc.record({
      at: fc.constant('storage' as const),
      cutAfter: fc.nat(content.length),
      isGarbled: fc.boolean(),
      ignoresRange: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { maxLength: 6 }), async (faults) => {
        using folder = temporaryFolder();
        const blobs = path.join(folder.path, 'blobs');
        mkdirSync(blobs);
        await using server = await start();
        server.fault(...faults);

        await Promise.allSettled([1, 2, 3].map(() => download({ server, blobs })));
        await download({ server, blobs });

        assert.deepEqual(readdirSync(blobs), [etag]);
        assert.ok(readFileSync(path.join(blobs, etag)).equals(content), 'the content is right');
      }),
      { numRuns: 25 },
    );
  });
});
