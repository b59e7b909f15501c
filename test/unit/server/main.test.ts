import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { main } from '../../../server/main.ts';

describe('refmodel server', () => {
  it('does not start without its settings', async () => {
    await assert.rejects(main({}, []), { code: 'CONFIGURATION_INVALID' });
  });

  it('knows no option but help', async () => {
    await assert.rejects(main({}, ['--no-such']), { code: 'ERR_PARSE_ARGS_UNKNOWN_OPTION' });
  });
});
