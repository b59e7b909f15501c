import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fetchListing, sha256Of } from '../../../../../server/model/hub/listing.ts';
import { HubClient } from '../../../../../server/model/hub/request.ts';
import { HastyClock, neverAborted, settingsFor } from '../../../../support/hub-kit.ts';
import { etagOf, filesOf, HubServer, sha256 } from '../../../../support/hub-server.ts';

const files = filesOf('test/golden/llama');

async function list(server: HubServer, revision = 'main', clock = new HastyClock()) {
  await using client = new HubClient(settingsFor(server), clock);
  return await fetchListing(client, { repo: 'a/b', revision, clock }, neverAborted);
}

describe('fetchListing', () => {
  it('gives the commit, and name, size and checksum of each file', async () => {
    await using server = await HubServer.start({ 'a/b': { files } });

    const listing = await list(server);

    assert.equal(listing.commit, server.commit('a/b', files));
    assert.deepEqual(
      listing.files,
      Object.entries(files).map(([name, content]) => {
        return { name, size: content.length, etag: etagOf(name, content) };
      }),
    );
  });

  it('has the SHA-256 of large files without a download', async () => {
    await using server = await HubServer.start({ 'a/b': { files } });

    const { files: found } = await list(server);

    const known = found.map((file) => [file.name, sha256Of(file)]);
    assert.deepEqual(Object.fromEntries(known), {
      ...Object.fromEntries(Object.keys(files).map((name) => [name, undefined])),
      'model.safetensors': sha256(files['model.safetensors']!),
    });
  });

  it('asks for a revision with a slash as one part of the address', async () => {
    await using server = await HubServer.start({ 'a/b': { files } });
    server.commit('a/b', files, 'refs/pr/1');

    await list(server, 'refs/pr/1');

    assert.match(server.requests[0]?.path ?? '', /revision\/refs%2Fpr%2F1\?blobs=true$/);
  });

  it('passes over files in folders, and names that lead elsewhere', async () => {
    await using server = await HubServer.start({ 'a/b': { files } });
    const content = Buffer.from('{}');
    server.commit('a/b', {
      'config.json': content,
      'onnx/model.onnx': content,
      '../evil': content,
    });

    const { files: found } = await list(server);

    assert.deepEqual(
      found.map(({ name }) => name),
      ['config.json'],
    );
  });

  it('asks again after a cut connection, a failure of the hub and a rate limit', async () => {
    await using server = await HubServer.start({ 'a/b': { files } });
    const clock = new HastyClock();
    server.fault(
      { at: 'list', cutAfter: 10 },
      { at: 'list', status: 502 },
      { at: 'list', status: 429, headers: { 'retry-after': '9' } },
    );

    const listing = await list(server, 'main', clock);

    assert.equal(listing.files.length, Object.keys(files).length);
    assert.equal(clock.waits.length, 3);
    assert.equal(clock.waits[2], 9000);
  });

  for (const [name, body] of [
    ['no JSON', '<html>log in</html>'],
    ['another JSON', '{"error": "x"}'],
    ['a list without checksums', `{"sha": "${'0'.repeat(40)}", "siblings": [{"rfilename": "a"}]}`],
  ] as const) {
    it(`says HUB_ANSWER_INVALID for ${name}`, async () => {
      await using server = await HubServer.start({ 'a/b': { files } });
      server.fault({ at: 'list', body });

      await assert.rejects(list(server), { code: 'HUB_ANSWER_INVALID' });
    });
  }
});
