import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ShutdownError } from '../../../../common/abort.ts';
import { named, requestedModel } from '../../../../server/api/requested-model.ts';
import type { CatalogModel } from '../../../../server/contract.ts';
import { FakeClock, settle } from '../../../support/clock.ts';
import { catalogModel } from '../../../support/server-kit.ts';

const forever = new AbortController().signal;

function lookupOf(...names: string[]) {
  const models = names.map((name) => catalogModel(name));
  const arrivals: ((model: CatalogModel) => void)[] = [];
  const ending = new AbortController();
  const find = (name: string) => models.find((model) => model.name === name);
  const catalog = {
    isRead: true,
    models,
    find,
    waitFor: (name: string, signal: AbortSignal) =>
      new Promise<CatalogModel>((resolve, reject) => {
        const model = find(name);
        if (model) resolve(model);
        arrivals.push(resolve);
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      }),
  };
  const clock = new FakeClock();
  return { catalog, clock, waitMs: 1000, shutdown: ending.signal, arrivals, ending };
}
const byGateway = (name: string) => ({ 'x-refmodel-model': name });

describe('requestedModel', () => {
  const cases = [
    { name: 'the one that is named whole', models: ['rl/a', 'ml/a'], asked: 'ml/a', want: 'ml/a' },
    { name: 'the only one of that name', models: ['rl/a', 'rl/b'], asked: 'b', want: 'rl/b' },
    { name: 'the only one there is', models: ['rl/a'], asked: undefined, want: 'rl/a' },
  ];
  for (const { name, models, asked, want } of cases) {
    it(`is ${name}`, async () => {
      assert.equal((await requestedModel(lookupOf(...models), {}, asked, forever)).name, want);
    });
  }

  const refusals = [
    { name: 'an unknown name', models: ['rl/a'], asked: 'rl/b', code: 'MODEL_NOT_FOUND' },
    { name: 'part of a name', models: ['rl/aa'], asked: 'a', code: 'MODEL_NOT_FOUND' },
    { name: 'a name of two', models: ['rl/a', 'ml/a'], asked: 'a', code: 'AMBIGUOUS_MODEL' },
    {
      name: 'no name among two',
      models: ['rl/a', 'rl/b'],
      asked: undefined,
      code: 'AMBIGUOUS_MODEL',
    },
    { name: 'no name among none', models: [], asked: undefined, code: 'AMBIGUOUS_MODEL' },
  ];
  for (const { name, models, asked, code } of refusals) {
    it(`is refused for ${name} with ${code}`, async () => {
      await assert.rejects(requestedModel(lookupOf(...models), {}, asked, forever), { code });
    });
  }

  it('is the one that the gateway names, whatever the body says', async () => {
    const lookup = lookupOf('rl/a', 'rl/b');

    assert.equal((await requestedModel(lookup, byGateway('rl/b'), 'rl/a', forever)).name, 'rl/b');
  });

  it('is waited for when the gateway knows it first', async () => {
    const lookup = lookupOf('rl/a');

    const waiting = requestedModel(lookup, byGateway('rl/new'), undefined, forever);
    await settle();
    lookup.arrivals[0]?.(catalogModel('rl/new'));

    assert.equal((await waiting).name, 'rl/new');
    assert.equal(lookup.clock.pending, 0);
  });

  it('is waited for a bounded time, then CATALOG_STALE', async () => {
    const lookup = lookupOf('rl/a');

    const refused = assert.rejects(requestedModel(lookup, byGateway('rl/x'), undefined, forever), {
      code: 'CATALOG_STALE',
    });
    await lookup.clock.step(1000);

    await refused;
  });

  it('is not waited for when the process ends, nor when the client leaves', async () => {
    const lookup = lookupOf('rl/a');
    const client = new AbortController();
    const gone = new Error('gone');

    const left = assert.rejects(
      requestedModel(lookup, byGateway('rl/x'), undefined, client.signal),
      gone,
    );
    const ended = assert.rejects(requestedModel(lookup, byGateway('rl/x'), undefined, forever), {
      code: 'SHUTTING_DOWN',
    });
    await settle();
    client.abort(gone);
    lookup.ending.abort(new ShutdownError('the end'));

    await Promise.all([left, ended]);
  });

  it('is NOT_READY before a catalog was read', async () => {
    const lookup = lookupOf();
    lookup.catalog.isRead = false;

    await assert.rejects(requestedModel(lookup, {}, 'rl/a', forever), { code: 'NOT_READY' });
  });
});

describe('named', () => {
  it('prefers the whole name', () => {
    const { catalog } = lookupOf('rl/a', 'ml/a');

    assert.deepEqual(
      ['rl/a', 'a', 'x'].map((name) => named(catalog, name).length),
      [1, 2, 0],
    );
  });
});
