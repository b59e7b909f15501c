import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { systemClock } from '../../../../../common/clock.ts';
import { digestFiles } from '../../../../../server/model/checkpoint/digest.ts';
import { openOrigin } from '../../../../../server/model/checkpoint/origin.ts';
import { readCheckpoint, readConfig } from '../../../../../server/model/checkpoint/source.ts';
import type { Progress } from '../../../../../server/model/progress.ts';
import { Store } from '../../../../../server/model/store/store.ts';
import { catalogModel, goldenRoot, neverAborted } from '../../../../support/engine-kit.ts';
import { settingsFor } from '../../../../support/hub-kit.ts';
import { filesOf, HubServer } from '../../../../support/hub-server.ts';
import { type TemporaryFolder, temporaryFolder } from '../../../../support/temporary-folder.ts';

const optionsFor = ({ path: cacheDir }: TemporaryFolder, endpoint: string) => {
  const told: Progress[] = [];
  return {
    told,
    cacheDir,
    store: new Store({ dir: cacheDir, clock: systemClock }),
    hub: settingsFor({ endpoint }),
    report: (progress: Progress) => void told.push(progress),
    keep: async () => {},
  };
};

const onHub = catalogModel({ source: { huggingFace: { repo: 'a/b', revision: 'main' } } });
const startHub = () =>
  HubServer.start({ 'a/b': { files: filesOf(path.join(goldenRoot, 'llama-fp16-sharded')) } });

describe('openOrigin', () => {
  it('takes a volume as it is: nothing is fetched, nothing is known of it', async () => {
    using cache = temporaryFolder();
    const volume = { root: goldenRoot, path: 'llama' };
    const options = optionsFor(cache, 'http://127.0.0.1:9');

    const origin = await openOrigin(catalogModel({ source: { volume } }), options, neverAborted);

    await origin.fetchWeights(neverAborted);
    assert.deepEqual(origin.source, volume);
    assert.deepEqual([origin.commit, origin.digest], [undefined, undefined]);
  });

  it('fetches the configuration from the hub first, and knows the digest of weights that are not there', async () => {
    using cache = temporaryFolder();
    await using server = await startHub();
    const options = optionsFor(cache, server.endpoint);

    const origin = await openOrigin(onHub, options, neverAborted);

    const { folder } = await readConfig(origin.source);
    assert.ok(!existsSync(path.join(folder, 'model-00001-of-00003.safetensors')), 'weights came');
    assert.match(origin.commit ?? '', /^[0-9a-f]{40}$/);
    await origin.fetchWeights(neverAborted);
    const { files } = await readCheckpoint(origin.source, neverAborted);
    const hashed = await digestFiles(
      files,
      { cacheDir: cache.path, onBytes: () => {} },
      neverAborted,
    );
    assert.equal(origin.digest, hashed);
  });

  it('tells how far the download is', async () => {
    using cache = temporaryFolder();
    await using server = await startHub();
    const options = optionsFor(cache, server.endpoint);

    const origin = await openOrigin(onHub, options, neverAborted);
    await origin.fetchWeights(neverAborted);

    const last = options.told.at(-1);
    assert.equal(last?.phase, 'Downloading');
    assert.equal(last.bytes, last.totalBytes);
    assert.ok(last.totalBytes > 100_000, `only ${last.totalBytes} bytes in all`);
  });

  it('carries the code of what the hub says', async () => {
    using cache = temporaryFolder();
    await using server = await startHub();
    const missing = catalogModel({ source: { huggingFace: { repo: 'a/c', revision: 'main' } } });

    const fails = openOrigin(missing, optionsFor(cache, server.endpoint), neverAborted);

    await assert.rejects(fails, { code: 'HUB_REPO_NOT_FOUND' });
  });

  it('says INTERNAL for a catalog entry without a source', async () => {
    using cache = temporaryFolder();
    const fails = openOrigin(catalogModel({ source: {} }), optionsFor(cache, ''), neverAborted);

    await assert.rejects(fails, { code: 'INTERNAL' });
  });
});
