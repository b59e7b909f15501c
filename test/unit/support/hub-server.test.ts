import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { filesOf, HubServer, sha256 } from '../../support/hub-server.ts';

const files = filesOf('test/golden/llama');
const weights = files['model.safetensors'] ?? Buffer.alloc(0);
const resolve = (server: HubServer, file: string) => `${server.endpoint}/a/b/resolve/main/${file}`;

describe('HubServer', () => {
  it('lists the files of a revision with sizes and checksums', async () => {
    await using server = await HubServer.start({ 'a/b': { files } });

    const url = `${server.endpoint}/api/models/a/b/revision/main?blobs=true`;
    const answer = (await (await fetch(url)).json()) as Record<string, unknown>;

    const siblings = answer['siblings'] as Record<string, unknown>[];
    const large = siblings.find(({ rfilename }) => rfilename === 'model.safetensors');
    assert.equal(answer['sha'], server.commit('a/b', files));
    assert.equal(siblings.length, Object.keys(files).length);
    assert.deepEqual(large?.['lfs'], {
      sha256: sha256(weights),
      size: weights.length,
      pointerSize: 134,
    });
  });

  it('sends large files from another origin, that takes no token', async () => {
    await using server = await HubServer.start({ 'a/b': { files } });

    const first = await fetch(resolve(server, 'model.safetensors'), { redirect: 'manual' });
    const location = first.headers.get('location') ?? '';
    const second = await fetch(location, { headers: { range: 'bytes=8-' } });
    const refused = await fetch(location, { headers: { authorization: 'Bearer x' } });

    assert.equal(first.status, 302);
    assert.equal(first.headers.get('x-linked-etag'), `"${sha256(weights)}"`);
    assert.notEqual(new URL(location).origin, server.endpoint);
    assert.equal(second.status, 206);
    assert.deepEqual(Buffer.from(await second.arrayBuffer()), weights.subarray(8));
    assert.equal(refused.status, 400);
  });

  it('tells who may not read a repository, as the hub does', async () => {
    const readers = ['good'];
    await using server = await HubServer.start({ 'a/b': { files, readers } });
    const ask = async (token: string | undefined, path = 'a/b') => {
      const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
      const url = `${server.endpoint}/api/models/${path}/revision/main`;
      const { status, headers: found } = await fetch(url, { headers });
      return [status, found.get('x-error-code')];
    };

    assert.deepEqual(await ask('good'), [200, null]);
    assert.deepEqual(await ask('other'), [403, 'GatedRepo']);
    assert.deepEqual(await ask(undefined), [401, 'GatedRepo']);
    assert.deepEqual(await ask('good', 'no/such'), [404, 'RepoNotFound']);
  });

  it('cuts a connection when it is told to', async () => {
    await using server = await HubServer.start({ 'a/b': { files } });
    server.fault({ at: 'storage', cutAfter: 100 });

    await assert.rejects(fetch(resolve(server, 'model.safetensors')).then((a) => a.arrayBuffer()));
    const again = await fetch(resolve(server, 'model.safetensors'));

    assert.deepEqual(Buffer.from(await again.arrayBuffer()), weights);
    assert.equal(server.bytesSent, 100 + weights.length);
  });
});
