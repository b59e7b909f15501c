import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { parseBody } from '../../../../server/api/schemas.ts';

const schema = z.strictObject({ count: z.int(), name: z.string().optional() });

describe('parseBody', () => {
  it('gives what fits', () => {
    assert.deepEqual(parseBody(schema, { count: 1 }), { count: 1 });
  });

  it('names every field that is wrong, and the body where it is none', () => {
    assert.throws(() => parseBody(schema, { count: 'x', name: 3 }), {
      code: 'INVALID_REQUEST',
      message: /count: .*name: /s,
    });
    assert.throws(() => parseBody(schema, undefined), { message: /body: / });
    assert.throws(() => parseBody(schema, { count: 1, other: 2 }), { message: /other/ });
  });
});
