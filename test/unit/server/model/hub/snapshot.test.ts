import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { readCheckpoint } from '../../../../../server/model/checkpoint/source.ts';
import type { HubSettings } from '../../../../../server/model/hub/settings.ts';
import {
  downloadSnapshot,
  type HubSource,
  type Snapshot,
  type SnapshotOptions,
} from '../../../../../server/model/hub/snapshot.ts';
import type { DownloadProgress } from '../../../../../server/model/hub/tally.ts';
import { HastyClock, neverAborted, settingsFor } from '../../../../support/hub-kit.ts';
import { filesOf, type HubRepo, HubServer, sha256 } from '../../../../support/hub-server.ts';
import { type TemporaryFolder, temporaryFolder } from '../../../../support/temporary-folder.ts';

const single = filesOf('test/golden/llama');
const sharded = filesOf('test/golden/llama-fp16-sharded');
const example = filesOf('examples/models/tiny-python-llama');
const commit = '0123456789'.repeat(4);

interface Kit extends AsyncDisposable {
  server: HubServer;
  folder: TemporaryFolder;
  get(
    source?: Partial<HubSource>,
    change?: Partial<SnapshotOptions> & { settings?: HubSettings },
  ): Promise<Snapshot>;
}

async function kit(repo: HubRepo = { files: single }): Promise<Kit> {
  const server = await HubServer.start({ 'a/b': repo });
  const folder = temporaryFolder();
  return {
    server,
    folder,
    get: (source = {}, change = {}) =>
      downloadSnapshot(
        { repo: 'a/b', revision: 'main', ...source },
        {
          cacheDir: folder.path,
          settings: settingsFor(server),
          weights: true,
          onProgress: () => {},
          clock: new HastyClock(),
          ...change,
        },
        neverAborted,
      ),
    [Symbol.asyncDispose]: async () => {
      folder[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const offline = (server: HubServer) => ({ settings: settingsFor(server, { isOffline: true }) });
const filesIn = ({ root, path: at }: Snapshot) => readdirSync(path.join(root, at)).sort();

describe('downloadSnapshot', () => {
  for (const [name, files] of Object.entries({ single, sharded, example })) {
    it(`leaves what readCheckpoint reads: ${name}`, async () => {
      await using world = await kit({ files });

      const snapshot = await world.get();

      const { tensors, files: read } = await readCheckpoint(snapshot, neverAborted);
      assert.ok(tensors.size > 0, 'there are tensors');
      assert.equal(snapshot.commit, world.server.commit('a/b', files));
      assert.equal(snapshot.path, `snapshots/${snapshot.commit}`);
      for (const [file, content] of Object.entries(files)) {
        const copy = path.join(snapshot.root, snapshot.path, file);
        if (existsSync(copy)) assert.ok(readFileSync(copy).equals(content), file);
      }
      for (const file of read.keys()) assert.equal(snapshot.sha256.get(file), sha256(files[file]!));
    });
  }

  it('downloads what a model needs and nothing else', async () => {
    const other = Buffer.from('other');
    const files = { ...example, 'pytorch_model.bin': other, 'README.md': other };
    await using world = await kit({ files });

    const snapshot = await world.get();

    assert.deepEqual(filesIn(snapshot), [
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
  });

  it('needs no network for a commit that is whole on disk', async () => {
    await using world = await kit({ files: sharded });
    const { commit: revision } = await world.get();
    const before = world.server.requests.length;

    const again = await world.get({ revision });
    const through = await world.get({ commit: revision }, offline(world.server));

    assert.equal(world.server.requests.length, before);
    assert.deepEqual(again, through);
  });

  it('resolves a revision once: main may move on', async () => {
    await using world = await kit();
    const { commit: first } = await world.get();
    world.server.commit('a/b', example);

    const second = await world.get();

    assert.equal(second.commit, first);
  });

  it('takes the commit that it is told before what the revision is now', async () => {
    await using world = await kit();
    const first = world.server.commit('a/b', single);
    world.server.commit('a/b', example);

    const snapshot = await world.get({ commit: first });

    assert.equal(snapshot.commit, first);
  });

  it('does not stay with a commit that holds no model', async () => {
    await using world = await kit({ files: { 'README.md': Buffer.from('soon') } });
    await assert.rejects(world.get(), { code: 'MODEL_FILES_MISSING' });
    const second = world.server.commit('a/b', single);

    assert.equal((await world.get()).commit, second);
  });

  it('goes on with the commit that an interrupted download began', async () => {
    await using world = await kit();
    const first = world.server.commit('a/b', single);
    world.server.fault({ at: 'storage', status: 500, times: 6 });
    await assert.rejects(world.get(), { code: 'HUB_UNREACHABLE' });
    world.server.commit('a/b', example);

    assert.equal((await world.get()).commit, first);
  });

  it('downloads the rest when a file is gone', async () => {
    await using world = await kit({ files: sharded });
    const { root, path: at, sha256: known } = await world.get();
    const part = 'model-00002-of-00003.safetensors';
    rmSync(path.join(root, 'blobs', known.get(part)!));
    const before = world.server.bytesSent;

    const again = await world.get();

    assert.equal(world.server.bytesSent - before, sharded[part]!.length);
    assert.ok(existsSync(path.join(root, at, part)), 'it is there again');
    assert.deepEqual([...again.sha256], [...known]);
  });

  it('leaves the weights alone when they are not wanted, and knows them all the same', async () => {
    await using world = await kit({ files: sharded });

    const without = await world.get({}, { weights: false });
    const bytes = world.server.bytesSent;
    const withoutAgain = await world.get({}, { weights: false, ...offline(world.server) });
    const whole = await world.get();

    const weights = Object.entries(sharded).filter(([name]) => name.endsWith('.safetensors'));
    const weightBytes = weights.reduce((sum, [, content]) => sum + content.length, 0);
    assert.ok(bytes < weightBytes, `${bytes} bytes were sent`);
    assert.deepEqual(withoutAgain, without);
    assert.deepEqual(whole, without);
    assert.equal(without.weightBytes, weightBytes);
    assert.equal(without.sha256.get(weights[0]![0]), sha256(weights[0]![1]));
  });

  it('knows weights that lie in git itself, which it fetches for that', async () => {
    const weights = Buffer.from('a few');
    await using world = await kit({ files: { ...single, 'model.safetensors': weights } });

    const { sha256: known } = await world.get({}, { weights: false });

    assert.equal(known.get('model.safetensors'), sha256(weights));
  });

  it('tells how far it is, and nothing when nothing is to be done', async () => {
    await using world = await kit({ files: sharded });
    const told: DownloadProgress[] = [];
    const onProgress = (progress: DownloadProgress) => void told.push(progress);

    await world.get({}, { onProgress });
    const { length } = told;
    await world.get({}, { onProgress });

    const last = told.at(-1);
    assert.equal(told.length, length);
    assert.equal(last?.bytes, last?.totalBytes);
    assert.equal(last?.files, 4); // config.json and three parts
  });

  it('downloads several files at once', async () => {
    await using world = await kit({ files: sharded });
    world.server.fault({ at: 'storage', slowMs: 100, times: 3 });

    await world.get();

    assert.ok(world.server.mostAtOnce > 1, `${world.server.mostAtOnce} at once`);
  });

  it('lets several processes fill one folder', async () => {
    await using world = await kit({ files: sharded });

    const all = await Promise.all([1, 2, 3].map(() => world.get()));

    assert.deepEqual(all[1], all[0]);
    assert.deepEqual(all[2], all[0]);
    const { tensors } = await readCheckpoint(all[0]!, neverAborted);
    assert.ok(tensors.size > 0, 'there are tensors');
  });
});

describe('downloadSnapshot, offline', () => {
  it('says HUB_OFFLINE when the cache has nothing, and asks nobody', async () => {
    await using world = await kit();

    await assert.rejects(world.get({}, offline(world.server)), { code: 'HUB_OFFLINE' });

    assert.equal(world.server.requests.length, 0);
  });

  it('says HUB_OFFLINE when a part is missing', async () => {
    await using world = await kit();
    await world.get({}, { weights: false });

    await assert.rejects(world.get({}, offline(world.server)), { code: 'HUB_OFFLINE' });
  });

  it('takes what another client left', async () => {
    await using world = await kit({ files: sharded });
    const { root, commit: filled } = await world.get();
    rmSync(path.join(root, 'listings'), { recursive: true });

    const snapshot = await world.get({}, offline(world.server));

    assert.equal(snapshot.commit, filled);
  });
});

describe('downloadSnapshot, tokens', () => {
  const readers = ['good'];

  it('shows the token of the model', async () => {
    await using world = await kit({ files: single, readers });
    const tokenFile = path.join(world.folder.path, 'token');
    writeFileSync(tokenFile, 'good\n');

    await world.get({ tokenFile }, { settings: settingsFor(world.server, { token: 'other' }) });
  });

  it('shows the token of the settings when the model has none', async () => {
    await using world = await kit({ files: single, readers });

    await world.get({}, { settings: settingsFor(world.server, { token: 'good' }) });
  });

  for (const [name, content] of [
    ['missing', undefined],
    ['empty', ' \n'],
  ] as const) {
    it(`says HUB_UNAUTHORIZED when the file of the token is ${name}`, async () => {
      await using world = await kit({ files: single, readers });
      const tokenFile = path.join(world.folder.path, 'token');
      if (content !== undefined) writeFileSync(tokenFile, content);

      await assert.rejects(world.get({ tokenFile }), {
        code: 'HUB_UNAUTHORIZED',
        message: /tokenSecretRef/,
      });
    });
  }

  it('needs no token for what is there', async () => {
    await using world = await kit({ files: single, readers });
    await world.get({}, { settings: settingsFor(world.server, { token: 'good' }) });

    await world.get({ tokenFile: '/no/such/file' });
  });
});

describe('downloadSnapshot, failures', () => {
  const cases: {
    name: string;
    repo?: Partial<HubRepo>;
    source?: Partial<HubSource>;
    token?: string;
    code: string;
  }[] = [
    { name: 'gated, no token', repo: { readers: ['x'] }, code: 'HUB_UNAUTHORIZED' },
    { name: 'gated, no access', repo: { readers: ['x'] }, token: 'y', code: 'HUB_FORBIDDEN' },
    { name: 'an expired token', token: 'expired', code: 'HUB_UNAUTHORIZED' },
    {
      name: 'private',
      repo: { readers: ['x'], isPrivate: true },
      token: 'y',
      code: 'HUB_REPO_NOT_FOUND',
    },
    { name: 'no such repository', source: { repo: 'no/such' }, code: 'HUB_REPO_NOT_FOUND' },
    { name: 'a repository outside', source: { repo: '../..' }, code: 'HUB_REPO_NOT_FOUND' },
    { name: 'no such branch', source: { revision: 'v9' }, code: 'HUB_REVISION_NOT_FOUND' },
    { name: 'no such commit', source: { revision: commit }, code: 'HUB_REVISION_NOT_FOUND' },
    { name: 'a revision outside', source: { revision: '../x' }, code: 'HUB_REVISION_NOT_FOUND' },
    {
      name: 'pickle files only',
      repo: { files: { 'config.json': Buffer.from('{}'), 'pytorch_model.bin': Buffer.of(1) } },
      code: 'MODEL_FILES_MISSING',
    },
    {
      name: 'an index that names a part elsewhere',
      repo: {
        files: {
          'config.json': Buffer.from('{}'),
          'model.safetensors.index.json': Buffer.from('{"weight_map": {"a": "../../x"}}'),
        },
      },
      code: 'MODEL_FILES_MISSING',
    },
  ];
  for (const { name, repo, source, token, code } of cases) {
    it(`says ${code} for ${name}`, async () => {
      await using world = await kit({ files: single, ...repo });
      const settings = settingsFor(world.server, token === undefined ? {} : { token });

      await assert.rejects(world.get(source, { settings }), { code });
    });
  }

  it('stops the other files when one fails, and keeps their parts', async () => {
    await using world = await kit({ files: sharded });
    const [first, second] = ['model-00001', 'model-00002'];
    world.server.fault(
      { at: 'storage', file: first, cutAfter: 1000, times: 1 },
      { at: 'resolve', file: second, status: 403, times: 9 },
      { at: 'storage', file: first, slowMs: 1000, times: 9 },
    );

    await assert.rejects(world.get(), { code: 'HUB_FORBIDDEN' });

    const names = readdirSync(path.join(world.folder.path, 'hub/models--a--b/blobs'));
    assert.ok(!names.some((name) => /-\d+-\d+-.*\.incomplete$/.test(name)), 'nobody owns a part');
  });

  it('says DISK_FULL before it begins what cannot fit', async () => {
    await using world = await kit();
    const listing = {
      sha: commit,
      siblings: [
        { rfilename: 'config.json', size: 2, blobId: 'a'.repeat(40) },
        {
          rfilename: 'model.safetensors',
          size: 100,
          blobId: 'b'.repeat(40),
          lfs: { sha256: 'c'.repeat(64), size: 2 ** 52 },
        },
      ],
    };
    world.server.fault({ at: 'list', body: JSON.stringify(listing) });

    await assert.rejects(world.get(), { code: 'DISK_FULL', message: /bytes more/ });
    assert.equal(world.server.bytesSent, 0);
  });
});
