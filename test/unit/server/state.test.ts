import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../../common/errors.ts';
import { silentLogger } from '../../../common/log.ts';
import { serverState as schema } from '../../../server/contract.ts';
import { loadForServing } from '../../../server/model/loaded.ts';
import { serverState } from '../../../server/state.ts';
import { BigramModels } from '../../support/bigram-model.ts';
import { catalogModel } from '../../support/server-kit.ts';

describe('serverState', () => {
  it('reports loaded, loading and failed models in the words of the contract', async () => {
    const load = loadForServing(new BigramModels().load, {
      log: silentLogger,
      maxQueuedRows: 1,
      maxQueuedTokens: 1,
      onPass: () => {},
    });
    const { signal } = new AbortController();
    const value = await load(catalogModel('rl/a'), { reserve: async () => {}, signal });
    const base = { inFlight: 1, lastUsedMs: 0 };

    const state = serverState(
      [
        { name: 'rl/a', residency: 'Loaded', ...base, value },
        { name: 'rl/b', residency: 'Loading', ...base },
        { name: 'rl/c', residency: 'Failed', ...base, error: new AppError('LOAD_FAILED', 'why') },
      ],
      { maxModels: 2, isDraining: true },
    );

    assert.deepEqual(schema.parse(state), state);
    const [loaded, loading, failed] = state.models;
    assert.equal(loaded?.identity?.revision, 'revision-of-rl/a');
    assert.equal(loaded?.lastUsed, '1970-01-01T00:00:00.000Z');
    assert.equal(loading?.identity, undefined);
    assert.deepEqual(failed?.error, { code: 'LOAD_FAILED', message: 'why' });
  });
});
