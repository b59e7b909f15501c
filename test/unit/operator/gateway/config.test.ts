import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../../../common/config.ts';
import { gatewayConfig, requestSettingsOf } from '../../../../operator/gateway/config.ts';

const namespace = { REFMODEL_NAMESPACE: 'sys' };

describe('gatewayConfig', () => {
  it('needs nothing but its namespace', () => {
    const config = parseConfig(gatewayConfig, namespace);

    assert.equal(config.REFMODEL_PORT, 8080);
    assert.equal(config.REFMODEL_ADMIN_PORT, 8081);
    assert.equal(requestSettingsOf(config).holdTimeoutMs, 100_000);
  });

  it('describes every variable', () => {
    for (const [name, schema] of Object.entries(gatewayConfig.shape)) {
      assert.ok(schema.description, name);
    }
  });

  it('reads a list of namespaces', () => {
    const config = parseConfig(gatewayConfig, { ...namespace, REFMODEL_NAMESPACES: 'rl, eval,' });

    assert.deepEqual(config.REFMODEL_NAMESPACES, ['rl', 'eval']);
  });

  const wrong = {
    REFMODEL_HOLD_TIMEOUT_MS: '-1',
    REFMODEL_MAX_BODY_BYTES: '0',
    REFMODEL_PORT: '70000',
    REFMODEL_LOG_LEVEL: 'loud',
    REFMODEL_HOLDTIMEOUT: '1',
  };
  for (const [name, value] of Object.entries(wrong)) {
    it(`refuses ${name}=${value}`, () => {
      assert.throws(() => parseConfig(gatewayConfig, { ...namespace, [name]: value }), {
        code: 'CONFIGURATION_INVALID',
      });
    });
  }
});
