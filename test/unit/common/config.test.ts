import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { milliseconds, parseConfig, port } from '../../../common/config.ts';
import { AppError } from '../../../common/errors.ts';

const schema = z.object({
  REFMODEL_PORT: port(8080),
  REFMODEL_WAIT_MS: milliseconds(0, 1000).default(500),
  REFMODEL_NAME: z.string().min(1),
  HOME: z.string().optional(),
});

describe('parseConfig', () => {
  it('fills in defaults and converts text', () => {
    const config = parseConfig(schema, { REFMODEL_NAME: 'x', REFMODEL_PORT: '9000' });

    assert.equal(config.REFMODEL_PORT, 9000);
    assert.equal(config.REFMODEL_WAIT_MS, 500);
    assert.equal(Object.isFrozen(config), true);
  });

  it('takes an empty variable as one that is not set', () => {
    assert.equal(
      parseConfig(schema, { REFMODEL_NAME: 'x', REFMODEL_PORT: '' }).REFMODEL_PORT,
      8080,
    );
  });

  it('reports all problems at once, naming each variable, unknown ones too', () => {
    const env = { REFMODEL_WAIT_MS: '-1', REFMODEL_PROT: '1', OTHER: 'ignored' };

    assert.throws(
      () => parseConfig(schema, env),
      (err) => {
        assert.ok(err instanceof AppError && err.code === 'CONFIGURATION_INVALID');
        for (const name of ['REFMODEL_WAIT_MS', 'REFMODEL_PROT', 'REFMODEL_NAME']) {
          assert.ok(err.message.includes(name), name);
        }
        assert.equal(err.message.includes('OTHER'), false);
        return true;
      },
    );
  });
});
