import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../../common/clock.ts';
import { AppError } from '../../../common/errors.ts';
import { silentLogger } from '../../../common/log.ts';
import { serverState as schema } from '../../../server/contract.ts';
import { loadForServing } from '../../../server/model/loaded.ts';
import { serverState } from '../../../server/state.ts';
import { BigramModels } from '../../support/bigram-model.ts';
import { roomForAll } from '../../support/engine-kit.ts';
import { catalogModel } from '../../support/server-kit.ts';

describe('serverState', () => {
  it('reports loaded, loading and failed models in the words of the contract', async () => {
    const fidelity = { kl: 0.01, meanAbsDelta: 0.1, maxAbsDelta: 0.5, tokens: 9 };
    const load = loadForServing(new BigramModels({ fidelity }).load, {
      clock: systemClock,
      log: silentLogger,
      maxQueuedRows: 1,
      maxQueuedTokens: 1,
      onPass: () => {},
      onHalved: () => {},
      onConverted: () => {},
    });
    const value = await load(catalogModel('rl/a'), roomForAll);
    const seconds = { Downloading: 3, Converting: 2, Loading: 1 };
    const progress = { phase: 'Downloading' as const, bytes: 1, totalBytes: 4 };
    const base = { inFlight: 1, lastUsedMs: 0 };

    const state = serverState(
      [
        { name: 'rl/a', residency: 'Loaded', ...base, value, seconds },
        { name: 'rl/b', residency: 'Downloading', ...base, progress },
        { name: 'rl/c', residency: 'Failed', ...base, error: new AppError('LOAD_FAILED', 'why') },
      ],
      {
        maxModels: 2,
        memory: { host: 5000, device: Number.POSITIVE_INFINITY },
        isDraining: true,
        policies: new Map([['rl/a', { k1: 0.1, k3: 0.2, tokens: 3 }]]),
      },
    );

    assert.deepEqual(schema.parse(state), state);
    const [loaded, ...others] = state.models;
    assert.equal(loaded?.identity?.revision, 'revision-of-rl/a');
    assert.equal(loaded?.lastUsed, '1970-01-01T00:00:00.000Z');
    assert.deepEqual(loaded?.fidelity, fidelity);
    assert.deepEqual(loaded?.policy, { k1: 0.1, k3: 0.2, tokens: 3 });
    assert.deepEqual(state.limits, { host: 5000 });
    assert.deepEqual(loaded?.memory, { host: 1000, device: 0 });
    assert.deepEqual(loaded?.seconds, { download: 3, convert: 2, load: 1 });
    const rest = { inFlight: 1, lastUsed: '1970-01-01T00:00:00.000Z' };
    const error = { code: 'LOAD_FAILED', message: 'why' };
    assert.deepEqual(others, [
      { name: 'rl/b', residency: 'Downloading', ...rest, progress: { bytes: 1, totalBytes: 4 } },
      { name: 'rl/c', residency: 'Failed', ...rest, error },
    ]);
  });
});
