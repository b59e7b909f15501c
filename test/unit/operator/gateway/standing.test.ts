import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  answerStanding,
  answerWhileAsleep,
  isWork,
  listModels,
} from '../../../../operator/gateway/standing.ts';
import { model } from '../../../support/gateway-kit.ts';

describe('answers without a pod', () => {
  it('wakes for scoring and loading, and for what clients ask about a model before', () => {
    const methods = ['POST', 'PUT', 'GET', 'HEAD', 'DELETE', 'OPTIONS'];
    const working = (path: string) => methods.filter((method) => isWork(method, path));

    assert.deepEqual(working('/cache'), ['POST', 'PUT']);
    for (const path of ['/tokenizer_info', '/get_model_info/', '/v2/models/rl/tiny']) {
      assert.deepEqual(working(path), ['POST', 'PUT', 'GET', 'HEAD'], path);
    }
  });

  it('is well, whatever sleeps', () => {
    for (const path of [
      '/health',
      '/health/',
      '/healthz',
      '/health_generate',
      '/v2/health/live/',
    ]) {
      assert.notEqual(answerStanding(path, undefined), undefined, path);
    }
    assert.deepEqual(answerStanding('/get_world_size/', undefined), { world_size: 1 });
    assert.equal(answerStanding('/constructor', undefined), undefined);
  });

  it('calls a model ready that can be served, asleep or not', () => {
    const refused = model({ acceptance: { state: 'Refused', message: 'x' } });
    const ready = (of: typeof refused) => answerStanding('/v2/models/tiny/versions/1/ready', of);

    assert.deepEqual(ready(model()), { name: 'rl/tiny', ready: true });
    assert.deepEqual(ready(refused), { name: 'rl/tiny', ready: false });
    assert.equal(answerStanding('/v2/models/tiny', model()), undefined);
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
