import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerWhileAsleep, isWork, listModels } from '../../../../operator/gateway/standing.ts';
import { model } from '../../../support/gateway-kit.ts';

describe('answers without a pod', () => {
  it('wakes for scoring and loading only', () => {
    const methods = ['POST', 'PUT', 'GET', 'HEAD', 'DELETE', 'OPTIONS'];

    assert.deepEqual(methods.filter(isWork), ['POST', 'PUT']);
  });

  it('lists what can be served or may yet be, not what is refused', () => {
    const models = [
      model({ key: 'rl/a' }),
      model({ key: 'rl/b', acceptance: { state: 'Unknown' } }),
      model({ key: 'rl/c', acceptance: { state: 'Refused', message: 'x' } }),
    ];

    const { data } = listModels(models) as { data: { id: string }[] };

    assert.deepEqual(
      data.map(({ id }) => id),
      ['rl/a', 'rl/b'],
    );
  });

  it('has an empty cache, with the room of the class', () => {
    const answer = answerWhileAsleep('GET', '/cache', model({ maxModels: 5 }));

    assert.deepEqual(answer, { num_models: 0, max_models: 5, models: [] });
  });

  it('has nothing to drop', () => {
    assert.deepEqual(answerWhileAsleep('DELETE', '/cache/', model()), { removed: [] });
  });

  it('has no model in its cache', () => {
    assert.throws(() => answerWhileAsleep('GET', '/cache/rl/tiny', model()), {
      code: 'NOT_CACHED',
    });
  });
});
