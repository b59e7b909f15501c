import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KubernetesApiError } from '../../../../operator/kube/errors.ts';
import { codeOf, model, startGateway, type TestGateway } from '../../../support/gateway-kit.ts';

interface Shown {
  run: string;
  models: string[];
  ttl_seconds: number;
  expires_at: string;
}
const put = (gateway: TestGateway, path: string, body: object = {}) =>
  gateway.send(path, { method: 'PUT', body: JSON.stringify(body) });
const list = async (gateway: TestGateway): Promise<Shown[]> => {
  const answer = await gateway.send('/v1/leases', { method: 'GET', body: null });
  return ((await answer.json()) as { leases: Shown[] }).leases;
};

async function setup() {
  const gateway = await startGateway({ models: [model(), model({ key: 'rl/big' })] });
  return {
    ...gateway,
    async [Symbol.asyncDispose]() {
      await gateway.close();
    },
  };
}

describe('leases', () => {
  it('keeps a lease, lists it, renews it and ends it, without waking anything itself', async () => {
    await using gateway = await setup();

    const made = await put(gateway, '/v1/leases/run-1', { models: ['tiny'], ttl_seconds: 60 });
    await put(gateway, '/v1/leases/run-1', { models: ['rl/tiny', 'big'], ttl_seconds: 120 });
    const [renewed, ...others] = await list(gateway);
    const removed = await gateway.send('/v1/leases/run-1', { method: 'DELETE' });
    const again = await gateway.send('/v1/leases/run-1', { method: 'DELETE' });

    assert.equal(made.status, 200);
    assert.deepEqual(((await made.json()) as Shown).models, ['rl/tiny']);
    assert.deepEqual([renewed?.models, renewed?.ttl_seconds], [['rl/big', 'rl/tiny'], 120]);
    assert.deepEqual(others, []);
    assert.deepEqual(await removed.json(), { removed: ['run-1'] });
    assert.deepEqual(await again.json(), { removed: [] });
    assert.deepEqual(gateway.backend.wakes, []);
  });

  it('needs no model in the body under the address of one', async () => {
    await using gateway = await setup();

    await put(gateway, '/rl/big/v1/leases/run-1');

    assert.deepEqual(
      (await list(gateway)).map(({ models }) => models),
      [['rl/big']],
    );
  });

  const refused: { name: string; path: string; body?: object; status: number; code: string }[] = [
    { name: 'a lease of no model', path: 'r', status: 400, code: 'INVALID_REQUEST' },
    {
      name: 'a model that nobody knows',
      path: 'r',
      body: { models: ['none'] },
      status: 404,
      code: 'MODEL_NOT_FOUND',
    },
    {
      name: 'a term without end',
      path: 'r',
      body: { models: ['tiny'], ttl_seconds: 1e9 },
      status: 400,
      code: 'INVALID_REQUEST',
    },
    {
      name: 'a name that is none',
      path: 'a%20b',
      body: { models: ['tiny'] },
      status: 400,
      code: 'INVALID_REQUEST',
    },
  ];
  for (const { name, path, body, status, code } of refused) {
    it(`refuses ${name}`, async () => {
      await using gateway = await setup();

      const answer = await put(gateway, `/v1/leases/${path}`, body);

      assert.deepEqual([answer.status, await codeOf(answer)], [status, code]);
      assert.deepEqual(await list(gateway), []);
    });
  }

  it('answers malformed JSON and other methods with what is wrong', async () => {
    await using gateway = await setup();

    const malformed = await gateway.send('/v1/leases/r', { method: 'PUT', body: '{' });
    const posted = await gateway.send('/v1/leases/r', { method: 'POST' });

    assert.equal(await codeOf(malformed), 'MALFORMED_JSON');
    assert.equal(await codeOf(posted), 'METHOD_NOT_ALLOWED');
  });

  it('says that it may be tried again when the lease could not be stored', async () => {
    await using gateway = await setup();
    gateway.backend.keepLease = () =>
      Promise.reject(new KubernetesApiError('no answer', { apiStatus: 0, reason: 'Timeout' }));

    const answer = await put(gateway, '/v1/leases/r', { models: ['tiny'] });

    assert.deepEqual([answer.status, await codeOf(answer)], [503, 'LEASE_NOT_KEPT']);
    assert.notEqual(answer.headers.get('retry-after'), null);
  });

  it('turns away the lease that is one too many, and renews those that there are', async () => {
    await using gateway = await setup();
    for (let i = 0; i < 1000; i++) {
      const lease = { run: `run-${i}`, models: ['rl/tiny'], expiresAt: Date.now() + 60_000 };
      await gateway.backend.keepLease(lease);
    }

    const more = await put(gateway, '/v1/leases/more', { models: ['tiny'] });
    const renewed = await put(gateway, '/v1/leases/run-7', { models: ['tiny'] });

    assert.equal(await codeOf(more), 'LEASE_NOT_KEPT');
    assert.equal(renewed.status, 200);
  });
});
