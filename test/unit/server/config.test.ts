import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../../common/config.ts';
import { memoryLimits, serverConfig } from '../../../server/config.ts';

const needed = { REFMODEL_CATALOG: '/etc/refmodel/catalog.json' };

describe('the configuration of the server', () => {
  it('needs the catalog, and has a default for the rest', () => {
    const config = parseConfig(serverConfig, needed);

    assert.equal(config.REFMODEL_PORT, 8080);
    assert.equal(config.REFMODEL_MAX_MODELS, 2);
    assert.throws(() => parseConfig(serverConfig, {}), {
      code: 'CONFIGURATION_INVALID',
      message: /REFMODEL_CATALOG/,
    });
  });

  for (const [name, value] of [
    ['REFMODEL_MAX_MODELS', '0'],
    ['REFMODEL_MEMORY_BYTES', '-1'],
    ['REFMODEL_DEVICE_MEMORY_BYTES', '0'],
    ['REFMODEL_EXECUTION_PROVIDER', 'WebGPU'],
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

describe('memoryLimits', () => {
  const limits = (env: Record<string, string>, there: { host: number; device: number }) =>
    memoryLimits(parseConfig(serverConfig, { ...needed, ...env }), there);

  it('takes what is set, of the GPU no more than there is', () => {
    const env = { REFMODEL_MEMORY_BYTES: '500', REFMODEL_DEVICE_MEMORY_BYTES: '700' };

    assert.deepEqual(limits(env, { host: 1, device: 900 }), { host: 500, device: 700 });
    assert.deepEqual(limits(env, { host: 1, device: 600 }), { host: 500, device: 600 });
  });

  it('leaves a tenth of the machine to others when nothing is set', () => {
    assert.deepEqual(limits({}, { host: 1000, device: 800 }), { host: 900, device: 800 });
  });
});
