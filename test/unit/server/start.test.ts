import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BigramModels } from '../../support/bigram-model.ts';
import { catalogModel, startServerKit, until } from '../../support/server-kit.ts';

const row = { input_ids: [[1, 2]] };

describe('a server', () => {
  it('is unready while it drains, and still serves', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    kit.drain();

    const ready = await kit.get('/readyz');
    assert.equal(ready.status, 503);
    assert.equal(ready.headers.get('connection'), 'close');
    assert.equal((await kit.get('/healthz')).status, 200);
    assert.equal((await kit.get('/state')).body.isDraining, true);
    assert.equal((await kit.post('/v1/logprobs', row)).status, 200);
  });

  it('is unready until it has read a catalog', async () => {
    await using kit = await startServerKit({
      load: new BigramModels().load,
      env: { REFMODEL_CATALOG: '/nowhere/catalog.json' },
    });

    assert.equal((await kit.get('/readyz')).body.error.code, 'NOT_READY');
    assert.equal((await kit.post('/v1/logprobs', row)).body.error.code, 'NOT_READY');
  });

  it('finishes what is in flight when it closes, then closes its models', async () => {
    const models = new BigramModels();
    let open = () => {};
    models.passGate = new Promise((resolve) => {
      open = resolve;
    });
    await using kit = await startServerKit({ load: models.load });
    const answer = kit.post('/v1/logprobs', row);
    await until(() => models.sessions[0]?.passes.length === 1);

    const closed = kit.close();
    open();
    await closed;

    assert.equal((await answer).status, 200);
    assert.ok(models.sessions.every((session) => !session.isOpen));
  });

  it('ends loads when it closes, and tells those who wait', async () => {
    const models = new BigramModels();
    const load: typeof models.load = (_model, { signal }) =>
      new Promise((_, reject) => {
        models.loads.push('started');
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    await using kit = await startServerKit({ load });
    const answer = kit.post('/v1/logprobs', row);
    await until(() => models.loads.length === 1);

    await kit.close();

    const { status, body } = await answer;
    assert.equal(status, 503);
    assert.equal(body.error.code, 'SHUTTING_DOWN');
  });

  it('ends the streams of its state when it closes', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });
    const stream = await fetch(`${kit.url}/state?watch=1`);

    await kit.close();

    assert.ok((await stream.text()).endsWith('}\n'));
  });

  it('follows its catalog: a new model answers, one that is gone is not found', async () => {
    const models = new BigramModels();
    await using kit = await startServerKit({ load: models.load, models: [catalogModel('rl/old')] });
    await kit.post('/v1/logprobs', row);

    await kit.writeCatalog([catalogModel('rl/new', { preload: true })]);
    await until(() => models.loads.includes('rl/new'));

    assert.equal((await kit.post('/v1/logprobs', row)).body.model, 'rl/new');
    assert.equal((await kit.post('/v1/logprobs', { ...row, model: 'rl/old' })).status, 404);
    await until(() => models.sessions[0]?.isOpen === false);
  });

  it('loads a cold model once for twenty requests at the same time, and answers all', async () => {
    const models = new BigramModels();
    let open = () => {};
    models.gate = new Promise((resolve) => {
      open = resolve;
    });
    await using kit = await startServerKit({ load: models.load });

    const answers = Array.from({ length: 20 }, () => kit.post('/v1/logprobs', row));
    await until(async () => (await kit.get('/state')).body.models[0]?.inFlight === 20);
    open();

    for (const { status } of await Promise.all(answers)) assert.equal(status, 200);
    assert.equal(models.loads.length, 1);
  });
});
