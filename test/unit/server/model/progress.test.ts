import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { atBoundedRate, Meter, type Progress } from '../../../../server/model/progress.ts';

describe('Meter', () => {
  const record = () => {
    const told: number[] = [];
    const meter = new Meter('Converting', 10, ({ bytes }) => void told.push(bytes));
    return { told, meter };
  };

  it('adds up, and stays between nothing and all', () => {
    const { told, meter } = record();

    for (const bytes of [4, -6, 8, 8]) meter.add(bytes);

    assert.deepEqual(told, [4, 0, 8, 10]);
  });

  it('ends at all of it, unless there was nothing to do', () => {
    const { told, meter } = record();

    meter.finish();
    assert.deepEqual(told, []);
    meter.add(1);
    meter.finish();

    assert.deepEqual(told, [1, 10]);
  });
});

describe('atBoundedRate', () => {
  it('passes on the first and the last of a phase, and one now and then', () => {
    const told: Progress[] = [];
    let now = 0;
    const report = atBoundedRate(
      (progress) => void told.push(progress),
      () => now,
    );

    for (; now < 1000; now += 10) report({ phase: 'Downloading', bytes: now, totalBytes: 5000 });
    report({ phase: 'Downloading', bytes: 5000, totalBytes: 5000 });
    report({ phase: 'Converting', bytes: 1, totalBytes: 2 });

    assert.deepEqual(
      told.map(({ phase, bytes }) => [phase, bytes]),
      [
        ['Downloading', 0],
        ['Downloading', 500],
        ['Downloading', 5000],
        ['Converting', 1],
      ],
    );
  });
});
