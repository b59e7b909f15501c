import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Listeners } from '../../../../../operator/gateway/backend/listeners.ts';

describe('Listeners', () => {
  it('tells each listener, in order, until it leaves', () => {
    const listeners = new Listeners();
    const heard: string[] = [];
    const leave = listeners.add(() => heard.push('first'));
    listeners.add(() => heard.push('second'));

    listeners.notify({ pool: 'p' });
    leave();
    listeners.notify({ model: 'm' });

    assert.deepEqual(heard, ['first', 'second', 'second']);
  });
});
