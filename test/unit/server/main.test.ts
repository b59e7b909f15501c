import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { main } from '../../../server/main.ts';

describe('refmodel server', () => {
  it('does not start without its settings', async () => {
    await assert.rejects(main({}, []), { code: 'CONFIGURATION_INVALID' });
  });

  it('looks for the CUDA provider without any settings', async () => {
    const says = await main({}, ['--check-provider']).catch((err: { code?: string }) => err.code);

    // Packages of npm have none; where somebody put one, it may be whole.
    assert.ok(says === 'PROVIDER_UNAVAILABLE' || says === undefined, String(says));
  });

  it('knows no other option', async () => {
    await assert.rejects(main({}, ['--no-such']), { code: 'ERR_PARSE_ARGS_UNKNOWN_OPTION' });
  });
});
