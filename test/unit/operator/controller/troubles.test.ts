import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Troubles } from '../../../../operator/controller/troubles.ts';

describe('Troubles', () => {
  it('tells of a change, and of nothing else', () => {
    const changed: string[] = [];
    const troubles = new Troubles((pool) => changed.push(pool));
    const trouble = { reason: 'NameTaken' as const, message: 'taken' };

    troubles.set('a', undefined);
    troubles.set('a', trouble);
    troubles.set('a', { ...trouble });
    assert.deepEqual(troubles.get('a'), trouble);
    troubles.set('a', undefined);

    assert.equal(troubles.get('a'), undefined);
    assert.deepEqual(changed, ['a', 'a']);
  });
});
