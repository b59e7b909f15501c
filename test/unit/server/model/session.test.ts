import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeExit, Runner } from '../../../../server/model/session.ts';
import { catalogModel, scoreAll } from '../../../support/engine-kit.ts';

describe('Runner', () => {
  it('carries an error of the process back with its code', async () => {
    const runner = new Runner();
    try {
      const early = runner.call('score', [scoreAll([1, 2])]);

      await assert.rejects(early, { code: 'INTERNAL' });
    } finally {
      await runner.kill();
    }
  });

  it('rejects what is in flight, and what comes later, with RUNNER_DIED when the process ends', async () => {
    const runner = new Runner();
    const inFlight = runner.call('prepare', { model: catalogModel(), cacheDir: '/nowhere' });
    const outcome = assert.rejects(inFlight, { code: 'RUNNER_DIED' });

    await runner.kill();

    await outcome;
    await assert.rejects(runner.call('score', []), { code: 'RUNNER_DIED' });
    assert.equal((await runner.ended).signal, 'SIGKILL');
  });

  it('may be killed twice', async () => {
    const runner = new Runner();

    await Promise.all([runner.kill(), runner.kill()]);
    await runner.kill();
  });
});

describe('describeExit', () => {
  it('names the signal, or else the code', () => {
    assert.match(describeExit({ code: null, signal: 'SIGSEGV' }), /SIGSEGV/);
    assert.match(describeExit({ code: 3, signal: null }), /3/);
  });
});
