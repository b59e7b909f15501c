import assert from 'node:assert/strict';
import { getPriority } from 'node:os';
import { describe, it } from 'node:test';
import { offlineHub } from '../../../../server/model/hub/settings.ts';
import { describeExit, endingOf, Runner } from '../../../../server/model/session.ts';
import { catalogModel, scoreAll } from '../../../support/engine-kit.ts';

const heard = { report: () => {}, onDiskEvicted: () => {} };
const sources = { cacheDir: '/nowhere', hub: offlineHub };

describe('Runner', () => {
  it('carries an error of the process back with its code', async () => {
    const runner = new Runner(heard);
    try {
      const early = runner.call('score', [scoreAll([1, 2])]);

      await assert.rejects(early, { code: 'INTERNAL' });
    } finally {
      await runner.kill();
    }
  });

  it('rejects what is in flight, and what comes later, with RUNNER_DIED when the process ends', async () => {
    const runner = new Runner(heard);
    const inFlight = runner.call('describe', {
      model: catalogModel(),
      sources,
      provider: 'CPU',
    });
    const outcome = assert.rejects(inFlight, { code: 'RUNNER_DIED' });

    await runner.kill();

    await outcome;
    await assert.rejects(runner.call('score', []), { code: 'RUNNER_DIED' });
    assert.equal((await runner.ended).how, 'Killed');
  });

  it('may be killed twice', async () => {
    const runner = new Runner(heard);

    await Promise.all([runner.kill(), runner.kill()]);
    await runner.kill();
  });

  it('runs at a lower priority than its front', async () => {
    const runner = new Runner(heard);
    try {
      assert.ok(getPriority(runner.pid) > getPriority(), 'it is no less important');
    } finally {
      await runner.kill();
    }
  });
});

describe('endingOf', () => {
  const cases = [
    { exit: { code: null, signal: 'SIGKILL' }, mayBeOom: true, want: 'OutOfMemory' },
    { exit: { code: null, signal: 'SIGKILL' }, mayBeOom: false, want: 'Killed' },
    { exit: { code: null, signal: 'SIGSEGV' }, mayBeOom: true, want: 'Crashed' },
    { exit: { code: 1, signal: null }, mayBeOom: true, want: 'Crashed' },
  ] as const;
  for (const { exit, mayBeOom, want } of cases) {
    const when = mayBeOom ? 'while memory ran out' : 'while there was memory';
    it(`calls ${exit.signal ?? 'an exit'} ${when} ${want}`, () => {
      assert.equal(endingOf(exit, mayBeOom).how, want);
    });
  }
});

describe('describeExit', () => {
  it('names the signal, or else the code', () => {
    assert.match(describeExit({ code: null, signal: 'SIGSEGV' }), /SIGSEGV/);
    assert.match(describeExit({ code: 3, signal: null }), /3/);
  });
});
