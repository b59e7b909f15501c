import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { together } from '../../../../operator/controller/together.ts';

/** A loop that runs until it is told to end, and says that it has. */
function loop() {
  const state = { hasEnded: false };
  const run = (signal: AbortSignal) =>
    new Promise<void>((_, reject) => {
      signal.addEventListener('abort', () => {
        state.hasEnded = true;
        reject(signal.reason as Error);
      });
    });
  return { state, run };
}

describe('together', () => {
  it('ends all loops when one fails, and rejects with that failure', async () => {
    const other = loop();
    const broken = new Error('broken');

    const running = together(
      [other.run, () => Promise.reject(broken)],
      new AbortController().signal,
    );

    await assert.rejects(running, broken);
    assert.equal(other.state.hasEnded, true);
  });

  it('waits for all loops when it is told to end, and rejects with that reason', async () => {
    const loops = [loop(), loop()];
    const stop = new AbortController();
    const reason = new Error('enough');

    const running = together(
      loops.map(({ run }) => run),
      stop.signal,
    );
    stop.abort(reason);

    await assert.rejects(running, reason);
    assert.ok(loops.every(({ state }) => state.hasEnded));
  });
});
