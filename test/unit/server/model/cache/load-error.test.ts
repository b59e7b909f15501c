import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ShutdownError, TimeoutError } from '../../../../../common/abort.ts';
import { AppError } from '../../../../../common/errors.ts';
import { loadError } from '../../../../../server/model/cache/load-error.ts';

const load = { name: 'rl/a', state: 'Downloading, 1 of 4 bytes' };
const fired = (reason: Error) => AbortSignal.abort(reason);
const never = new AbortController().signal;

describe('loadError', () => {
  it('passes on what the load itself says', () => {
    const own = new AppError('LOAD_FAILED', 'no such tensor');

    assert.equal(loadError(own, load, never), own);
    assert.equal(loadError(own, load, fired(new TimeoutError('late'))), own);
    assert.equal(loadError(new Error('odd'), load, never).code, 'INTERNAL');
  });

  it('says why a load was given up', () => {
    const echo = new Error('aborted');

    assert.equal(loadError(echo, load, fired(new TimeoutError('late'))).code, 'LOAD_TIMEOUT');
    assert.equal(loadError(echo, load, fired(new ShutdownError('end'))).code, 'SHUTTING_DOWN');
  });
});
