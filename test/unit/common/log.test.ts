import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLogger, silentLogger } from '../../../common/log.ts';

describe('createLogger', () => {
  it('logs at the level it is given', () => {
    assert.equal(createLogger('x', 'warn').isLevelEnabled('info'), false);
    assert.equal(createLogger('x', 'warn').isLevelEnabled('warn'), true);
    assert.equal(silentLogger.isLevelEnabled('fatal'), false);
  });
});
