import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { parseConfig } from '../../../../../common/config.ts';
import { hubSettings, hubVariables } from '../../../../../server/model/hub/settings.ts';

const read = (env: NodeJS.ProcessEnv) => hubSettings(parseConfig(z.object(hubVariables), env));

describe('hubSettings', () => {
  it('asks the hub itself, without a token or a proxy, when nothing is set', () => {
    assert.deepEqual(read({}), {
      endpoint: 'https://huggingface.co',
      isOffline: false,
      proxies: { http: '', https: '', except: '' },
    });
  });

  it('takes a mirror, with or without a slash at its end', () => {
    assert.equal(read({ HF_ENDPOINT: 'http://mirror/hf/' }).endpoint, 'http://mirror/hf');
  });

  it('drops blanks around the token, and an empty one', () => {
    assert.equal(read({ HF_TOKEN: ' hf_x\n' }).token, 'hf_x');
    assert.equal(read({ HF_TOKEN: ' ' }).token, undefined);
  });

  for (const value of ['1', 'ON', 'yes', 'True']) {
    it(`is offline for HF_HUB_OFFLINE=${value}`, () => {
      assert.equal(read({ HF_HUB_OFFLINE: value }).isOffline, true);
    });
  }
  it('is not offline for HF_HUB_OFFLINE=0', () => {
    assert.equal(read({ HF_HUB_OFFLINE: '0' }).isOffline, false);
  });

  it('reads the proxies in either spelling, the lower one first, with or without a scheme', () => {
    const env = {
      HTTP_PROXY: 'http://upper',
      http_proxy: 'lower:3128',
      HTTPS_PROXY: 'https://u:p@secure:1',
      NO_PROXY: 'a,b',
    };

    assert.deepEqual(read(env).proxies, {
      http: 'http://lower:3128',
      https: 'https://u:p@secure:1',
      except: 'a,b',
    });
  });

  for (const env of [
    { HF_ENDPOINT: 'hub' },
    { HF_ENDPOINT: 'file:///etc' },
    { HTTPS_PROXY: 'socks5://x:1' },
    { http_proxy: 'http://' },
  ]) {
    it(`refuses ${JSON.stringify(env)}`, () => {
      assert.throws(() => read(env), { code: 'CONFIGURATION_INVALID' });
    });
  }
});
