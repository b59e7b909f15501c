import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../../common/config.ts';
import { serverConfig } from '../../../server/config.ts';

const needed = { REFMODEL_CATALOG: '/etc/refmodel/catalog.json', REFMODEL_MEMORY_BYTES: '1000' };

describe('the configuration of the server', () => {
  it('needs the catalog and the memory, and has a default for the rest', () => {
    const config = parseConfig(serverConfig, needed);

    assert.equal(config.REFMODEL_PORT, 8080);
    assert.equal(config.REFMODEL_MAX_MODELS, 2);
    assert.throws(() => parseConfig(serverConfig, {}), {
      code: 'CONFIGURATION_INVALID',
      message: /REFMODEL_CATALOG.*REFMODEL_MEMORY_BYTES/,
    });
  });

  for (const [name, value] of [
    ['REFMODEL_MAX_MODELS', '0'],
    ['REFMODEL_MEMORY_BYTES', '-1'],
    ['REFMODEL_CACHE_BYTES', '0'],
    ['REFMODEL_THREADS', 'many'],
    ['REFMODEL_CATALOG_WAIT_MS', '1e99'],
    ['REFMODEL_NO_SUCH', '1'],
  ] as const) {
    it(`refuses ${name}=${value}`, () => {
      assert.throws(() => parseConfig(serverConfig, { ...needed, [name]: value }), {
        code: 'CONFIGURATION_INVALID',
        message: new RegExp(name),
      });
    });
  }

  it('describes every variable', () => {
    for (const [name, schema] of Object.entries(serverConfig.shape)) {
      assert.ok(schema.description, name);
    }
  });
});
