import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { main } from '../../../../operator/gateway/main.ts';

describe('refmodel gateway', () => {
  it('does not start with a setting that it does not know', async () => {
    await assert.rejects(main({ REFMODEL_HOLD: '1' }, []), { code: 'CONFIGURATION_INVALID' });
  });

  it('does not start with a flag that it does not know', async () => {
    await assert.rejects(main({}, ['--gpu']));
  });
});
