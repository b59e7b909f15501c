import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { systemClock } from '../../../../../common/clock.ts';
import { startServerProcess } from '../../../../../operator/gateway/backend/process.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

const start = (settings: Record<string, string>, graceMs = 10_000) =>
  startServerProcess({ settings, clock: systemClock, graceMs });

const settingsIn = async (folder: string): Promise<Record<string, string>> => {
  const catalog = join(folder, 'catalog.json');
  await writeFile(catalog, '{"models":[]}');
  return {
    REFMODEL_PORT: '0',
    REFMODEL_HOST: '127.0.0.1',
    REFMODEL_LOG_LEVEL: 'silent',
    REFMODEL_CATALOG: catalog,
    REFMODEL_CACHE_DIR: folder,
    REFMODEL_MEMORY_BYTES: '1000000',
    REFMODEL_DRAIN_DELAY_MS: '0',
  };
};

describe('a server process', () => {
  it('tells its port, answers there, and ends when it is stopped', async () => {
    using folder = temporaryFolder();
    const server = start(await settingsIn(folder.path));

    const port = await server.port;
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    server.stop();

    assert.equal(response.status, 200);
    assert.equal(await server.ended, 'ended with code 0');
    assert.throws(() => process.kill(server.pid ?? 0, 0), { code: 'ESRCH' });
  });

  it('is killed when it does not end in its grace time', async () => {
    using folder = temporaryFolder();
    const settings = { ...(await settingsIn(folder.path)), REFMODEL_DRAIN_DELAY_MS: '600000' };
    const server = start(settings, 50);
    await server.port;

    server.stop();

    assert.equal(await server.ended, 'ended by SIGKILL');
  });

  it('says why it ended when it could not start', async () => {
    const server = start({ REFMODEL_LOG_LEVEL: 'silent' });

    assert.match(await server.ended, /REFMODEL_CATALOG/);
  });
});
