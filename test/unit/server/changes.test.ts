import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Changes } from '../../../server/changes.ts';

describe('Changes', () => {
  it('wakes everyone who waits, and not those who come after', async () => {
    const changes = new Changes();
    let wakes = 0;
    const waiting = [changes.next, changes.next].map((next) => next.then(() => wakes++));

    changes.notify();
    void changes.next.then(() => wakes++);
    await Promise.all(waiting);

    assert.equal(wakes, 2);
  });

  it('misses no change that falls between taking and waiting', async () => {
    const changes = new Changes();
    const { next } = changes;

    changes.notify();

    await next;
  });
});
