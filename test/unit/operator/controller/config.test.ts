import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../../../common/config.ts';
import {
  controllerConfig,
  serverEnvironment,
  serverImages,
} from '../../../../operator/controller/config.ts';

const needed = {
  REFMODEL_NAMESPACE: 'sys',
  REFMODEL_POD_NAME: 'pod',
  REFMODEL_SERVER_IMAGE: 'image:1',
};

describe('controllerConfig', () => {
  it('needs to know where it is and what it starts', () => {
    assert.throws(() => parseConfig(controllerConfig, {}), { code: 'CONFIGURATION_INVALID' });
    assert.equal(parseConfig(controllerConfig, needed).REFMODEL_LEADER_ELECTION, true);
  });

  it('reads a list of namespaces', () => {
    const config = parseConfig(controllerConfig, { ...needed, REFMODEL_NAMESPACES: 'a, b,' });

    assert.deepEqual(config.REFMODEL_NAMESPACES, ['a', 'b']);
  });

  it('describes every setting', () => {
    for (const [name, schema] of Object.entries(controllerConfig.shape)) {
      assert.ok(schema.description, name);
    }
  });

  it('hands on to servers what is set of the hub and the proxies, and how much to log', () => {
    const env = {
      REFMODEL_HF_ENDPOINT: 'http://mirror',
      REFMODEL_NO_PROXY: 'a',
      REFMODEL_HTTP_PROXY: '',
    };

    const handedOn = serverEnvironment(parseConfig(controllerConfig, { ...needed, ...env }));

    assert.deepEqual(handedOn, {
      HF_ENDPOINT: 'http://mirror',
      NO_PROXY: 'a',
      REFMODEL_LOG_LEVEL: 'info',
    });
  });

  it('starts CUDA classes from an image of their own when there is one', () => {
    const imagesOf = (env: Record<string, string>) =>
      serverImages(parseConfig(controllerConfig, { ...needed, ...env }));

    assert.equal(imagesOf({}).CUDA, 'image:1');
    assert.equal(imagesOf({ REFMODEL_SERVER_CUDA_IMAGE: 'image:1-cuda' }).CUDA, 'image:1-cuda');
    assert.equal(imagesOf({ REFMODEL_SERVER_CUDA_IMAGE: 'image:1-cuda' }).CPU, 'image:1');
  });

  it('refuses a Lease that the API could not hold', () => {
    const env = { ...needed, REFMODEL_LEASE_MS: '2500' };

    assert.throws(() => parseConfig(controllerConfig, env), { code: 'CONFIGURATION_INVALID' });
  });
});
