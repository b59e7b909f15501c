import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { perform } from '../../../../../server/api/wire/body-tasks.ts';

const ids = Array.from({ length: 20 }, (_, i) => i);
const bytes = Buffer.from(JSON.stringify(ids));

describe('perform', () => {
  it('parses, and packs numbers', () => {
    assert.deepEqual(perform({ kind: 'Parse', bytes }).value, Int32Array.from(ids));
  });

  it('prints in UTF-8', () => {
    const rows = { kind: 'Number', values: Float32Array.of(0.5, 1) } as const;

    const { value } = perform({ kind: 'Print', rows });

    assert.equal(Buffer.from(value as Uint8Array).toString(), '0.5,1');
  });
});
