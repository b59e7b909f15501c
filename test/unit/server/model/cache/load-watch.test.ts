import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import pino from 'pino';
import { LoadWatch } from '../../../../../server/model/cache/load-watch.ts';
import { FakeClock, settle } from '../../../../support/clock.ts';

function world() {
  const clock = new FakeClock();
  const lines: Record<string, unknown>[] = [];
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const phases: [string, number, number][] = [];
  const watch = new LoadWatch({
    log: pino(stream),
    clock,
    onPhase: (phase, { seconds, bytes }) => void phases.push([phase, seconds, bytes]),
  });
  return { clock, lines, phases, watch };
}

describe('LoadWatch', () => {
  it('tells the phase and how far it is', () => {
    const { watch } = world();
    const progress = { phase: 'Downloading' as const, bytes: 1, totalBytes: 4 };

    assert.equal(watch.phase, 'Loading');
    assert.equal(watch.progress, undefined);
    watch.report(progress);
    assert.equal(watch.phase, 'Downloading');
    assert.equal(watch.progress, progress);
    assert.equal(watch.describe(), 'Downloading, 1 of 4 bytes');
    watch.waits();
    assert.equal(watch.phase, 'Loading');
    assert.equal(watch.describe(), 'Waiting');
  });

  it('counts the seconds and bytes of each phase, and the wait for room for none', async () => {
    const { clock, phases, watch } = world();

    await clock.step(1000);
    watch.report({ phase: 'Downloading', bytes: 0, totalBytes: 4 });
    await clock.step(2000);
    watch.report({ phase: 'Converting', bytes: 3, totalBytes: 4 });
    await clock.step(4000);
    watch.waits();
    await clock.step(8000);
    watch.loads(100);
    await clock.step(16_000);
    watch.end({ isLoaded: true });

    const seconds = { Downloading: 2, Converting: 4, Loading: 17 };
    assert.deepEqual(watch.seconds, seconds);
    assert.deepEqual(phases, [
      ['Downloading', 2, 0],
      ['Converting', 4, 3],
      ['Loading', 17, 100],
    ]);
  });

  it('has a line at the start, at every tenth, and at the end of a phase, with its rate', async () => {
    const { clock, lines, watch } = world();

    for (let bytes = 0; bytes <= 1000; bytes += 10) {
      watch.report({ phase: 'Converting', bytes, totalBytes: 1000 });
      await clock.step(10);
    }
    watch.end({ isLoaded: false });

    assert.equal(lines.length, 1 + 10 + 1);
    const last = lines.at(-1);
    assert.deepEqual(
      [last?.['phase'], last?.['bytes'], last?.['totalBytes'], last?.['bytesPerSecond']],
      ['Converting', 1000, 1000, 990],
    );
  });

  it('takes a model that is loaded for one whose bytes were all read', async () => {
    const { clock, lines, watch } = world();

    watch.loads(100);
    await clock.step(2000);
    watch.end({ isLoaded: true });

    assert.equal(lines.at(-1)?.['bytesPerSecond'], 50);
  });

  it('has a line every half minute while nothing is heard', async () => {
    const { clock, lines, watch } = world();
    const over = new AbortController();
    const running = watch.run(over.signal);
    watch.loads(100);

    await clock.step(95_000);
    over.abort(new Error('over'));
    await running;
    await settle();

    assert.equal(lines.length, 1 + 3);
    assert.equal(lines.at(-1)?.['phase'], 'Loading');
    assert.equal(clock.pending, 0);
  });
});
