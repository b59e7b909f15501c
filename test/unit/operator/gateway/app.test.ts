import assert from 'node:assert/strict';
import { request } from 'node:http';
import { describe, it } from 'node:test';
import { listen } from '../../../../common/http.ts';
import { demandReport } from '../../../../operator/demand.ts';
import {
  codeOf,
  eventually,
  FakePod,
  model,
  resident,
  startGateway,
  state,
  type TestGateway,
} from '../../../support/gateway-kit.ts';

const get = (gateway: TestGateway, path: string) =>
  gateway.send(path, { method: 'GET', body: null });

/** fetch sets its own Host and cleans its paths; this does not. */
function raw(
  port: number,
  options: { path: string; host?: string; method?: string },
): Promise<number> {
  const { host, ...rest } = options;
  return new Promise((resolve, reject) => {
    const sent = request({
      port,
      host: '127.0.0.1',
      agent: false,
      ...rest,
      headers: host ? { host } : {},
    });
    sent.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', reject).end();
  });
}

describe('the traffic port', () => {
  it('answers health, the list of models and an empty cache without waking anything', async () => {
    const big = model({ key: 'rl/big', maxSequenceTokens: 4096 });
    const refused = model({ key: 'rl/bad', acceptance: { state: 'Refused', message: 'x' } });
    const gateway = await startGateway({ models: [model(), big, refused] });

    const health = await Promise.all(
      [
        '/health',
        '/health/',
        '/healthz',
        '/rl/tiny/health',
        '/health_generate',
        '/rl/tiny/get_world_size/',
        '/v2/health/ready',
        '/v2/models/tiny/ready',
      ].map((path) => get(gateway, path)),
    );
    const models = await (await get(gateway, '/v1/models')).json();
    const one = await (await get(gateway, '/rl/big/v1/models/')).json();
    const cache = await (await get(gateway, '/rl/tiny/cache')).json();

    for (const { status } of health) assert.equal(status, 200);
    const ids = (list: unknown) =>
      (list as { data: { id: string; max_model_len: number }[] }).data.map(
        ({ id, max_model_len }) => [id, max_model_len],
      );
    assert.deepEqual(ids(models), [
      ['rl/tiny', 1024],
      ['rl/big', 4096],
    ]);
    assert.deepEqual(ids(one), [['rl/big', 4096]]);
    assert.deepEqual(cache, { num_models: 0, max_models: 2, models: [] });
    assert.deepEqual(gateway.backend.wakes, []);
    await gateway.close();
  });

  it('wakes a model for what clients ask before they score, and counts it as use', async () => {
    const gateway = await startGateway();
    const pod = await FakePod.start();
    gateway.backend.onWake = () => gateway.backend.up(pod.endpoint);

    for (const path of ['/rl/tiny/tokenizer_info', '/get_model_info', '/v2/models/tiny']) {
      assert.equal((await get(gateway, path)).status, 200);
    }

    assert.deepEqual(
      pod.received.map(({ url }) => url),
      ['/tokenizer_info', '/get_model_info', '/v2/models/tiny'],
    );
    assert.equal(gateway.backend.wakes.length, 1);
    assert.notEqual(gateway.gateway.report().models[0]?.lastActivity, null);
    await gateway.close();
    await pod.close();
  });

  it('writes errors as the clients of a path read them', async () => {
    const gateway = await startGateway();

    const plain = await gateway.send('/v1/logprobs', { body: '{"model":"none"}' });
    const text = await gateway.send('/v2/models/none/infer');

    assert.equal(await codeOf(plain), 'MODEL_NOT_FOUND');
    const body = (await text.json()) as { error: unknown };
    assert.deepEqual([text.status, typeof body.error], [404, 'string']);
    await gateway.close();
  });

  it('asks a pod that runs for its cache', async () => {
    const gateway = await startGateway();
    const pod = await FakePod.start();
    gateway.backend.up(pod.endpoint);

    assert.equal((await get(gateway, '/cache')).status, 200);

    assert.equal(pod.received[0]?.url, '/cache');
    await gateway.close();
    await pod.close();
  });

  it('does not count looking at the cache as use of the model', async () => {
    const gateway = await startGateway();
    const pod = await FakePod.start();
    gateway.backend.up(pod.endpoint);
    await get(gateway, '/cache');

    const before = gateway.gateway.report().models[0]?.lastActivity;
    await gateway.send('/v1/logprobs');
    const after = gateway.gateway.report().models[0]?.lastActivity;

    assert.equal(before, null);
    assert.notEqual(after, null);
    await gateway.close();
    await pod.close();
  });

  it('wakes for PUT /cache/<model>', async () => {
    const gateway = await startGateway();
    const pod = await FakePod.start();
    gateway.backend.onWake = () => gateway.backend.up(pod.endpoint);

    const response = await gateway.send('/cache/tiny', { method: 'PUT', body: null });

    assert.equal(response.status, 200);
    assert.equal(pod.received[0]?.url, '/cache/rl/tiny');
    await gateway.close();
    await pod.close();
  });

  const asleep: { name: string; method: string; path: string; want: string }[] = [
    { name: 'one model of the cache', method: 'GET', path: '/cache/tiny', want: 'NOT_CACHED' },
    { name: 'dropping one model', method: 'DELETE', path: '/cache/rl/tiny', want: 'NOT_CACHED' },
    {
      name: 'looking at what is no route',
      method: 'GET',
      path: '/favicon.ico',
      want: 'ROUTE_NOT_FOUND',
    },
    { name: 'the state of pods', method: 'GET', path: '/state?watch=1', want: 'ROUTE_NOT_FOUND' },
    {
      name: 'the metrics of pods',
      method: 'POST',
      path: '/rl/tiny/metrics',
      want: 'ROUTE_NOT_FOUND',
    },
    { name: 'an unknown model', method: 'POST', path: '/cache/none', want: 'MODEL_NOT_FOUND' },
  ];
  for (const { name, method, path, want } of asleep) {
    it(`answers ${want} to ${name}, and wakes nothing`, async () => {
      const gateway = await startGateway();

      const response = await gateway.send(path, { method, body: null });

      assert.deepEqual([response.status, await codeOf(response)], [404, want]);
      assert.deepEqual(gateway.backend.wakes, []);
      await gateway.close();
    });
  }

  it("keeps clients from a pod's own paths, however they write them", async () => {
    const gateway = await startGateway();
    const pod = await FakePod.start();
    gateway.backend.up(pod.endpoint);
    const paths = [
      '/state',
      '/STATE/',
      '/state#',
      'http://pod/state',
      '/rl/tiny/state',
      '/metrics?x',
    ];

    for (const path of paths) {
      assert.equal(await raw(gateway.traffic.port, { path }), 404, path);
    }

    assert.deepEqual(pod.received, []);
    await gateway.close();
    await pod.close();
  });

  it('finds the model by the host of its Service', async () => {
    const gateway = await startGateway({ models: [model(), model({ key: 'eval/tiny' })] });
    const pod = await FakePod.start();
    gateway.backend.up(pod.endpoint);
    const host = 'tiny.eval.svc.cluster.local';

    await raw(gateway.traffic.port, { path: '/v1/logprobs', method: 'POST', host });

    assert.equal(pod.received[0]?.headers['x-refmodel-model'], 'eval/tiny');
    await gateway.close();
    await pod.close();
  });

  it('sends rewards to the model of the body, and says whose request it is', async () => {
    const gateway = await startGateway({ models: [model(), model({ key: 'rl/reward' })] });
    const pod = await FakePod.start();
    gateway.backend.up(pod.endpoint);
    const body = JSON.stringify({ model: 'reward', input_ids: [[1]] });

    await gateway.send('/v1/rewards', { body, headers: { 'x-refmodel-run': 'grpo-3' } });

    const [received] = pod.received;
    assert.equal(received?.url, '/v1/rewards');
    assert.equal(received?.headers['x-refmodel-model'], 'rl/reward');
    assert.equal(received?.headers['x-refmodel-run'], 'grpo-3');
    await gateway.close();
    await pod.close();
  });

  it('calls no model unknown before it knows all of them', async () => {
    const gateway = await startGateway({ models: [] });
    gateway.backend.isReady = false;

    const response = await gateway.send('/v1/logprobs', { body: '{"model":"rl/tiny"}' });
    const health = await get(gateway, '/health');

    assert.deepEqual([response.status, await codeOf(response)], [503, 'NOT_READY']);
    assert.ok(response.headers.get('retry-after'));
    assert.equal(health.status, 200);
    await gateway.close();
  });

  const bad: { name: string; init: RequestInit; want: [number, string] }[] = [
    {
      name: 'a body over the limit',
      init: { body: Buffer.alloc(200_000) },
      want: [413, 'BODY_TOO_LARGE'],
    },
    {
      name: 'a body in a coding that is none',
      init: { headers: { 'content-encoding': 'rot13' } },
      want: [415, 'UNSUPPORTED_MEDIA_TYPE'],
    },
    { name: 'a body that is not JSON', init: { body: '{"model"' }, want: [400, 'MALFORMED_JSON'] },
    {
      name: 'a model that does not exist',
      init: { body: '{"model":"none"}' },
      want: [404, 'MODEL_NOT_FOUND'],
    },
    {
      name: 'a hold time that is none',
      init: { body: '{"model":"tiny"}', headers: { 'x-refmodel-hold-timeout-ms': 'soon' } },
      want: [400, 'INVALID_REQUEST'],
    },
  ];
  for (const { name, init, want } of bad) {
    it(`answers ${want[1]} to ${name}, and wakes nothing`, async () => {
      const gateway = await startGateway({ models: [model(), model({ key: 'rl/other' })] });

      const response = await gateway.send('/v1/logprobs', init);

      assert.deepEqual([response.status, await codeOf(response)], want);
      assert.deepEqual(gateway.backend.wakes, []);
      await gateway.close();
    });
  }

  it('lets a request shorten its own hold', async () => {
    const gateway = await startGateway();

    const response = await gateway.send('/v1/logprobs', {
      headers: { 'x-refmodel-hold-timeout-ms': '20' },
    });

    assert.deepEqual([response.status, await codeOf(response)], [503, 'WAKE_TIMEOUT']);
    assert.ok(Number(response.headers.get('retry-after')) >= 1);
    await gateway.close();
  });

  it('answers QUEUE_FULL when the hold is full', async () => {
    const gateway = await startGateway({ settings: { holdMaxRequests: 1, holdTimeoutMs: 200 } });
    const first = gateway.send('/v1/logprobs');
    await eventually(() => gateway.gateway.report().models[0]?.held === 1);

    const second = await gateway.send('/v1/logprobs');

    assert.deepEqual([second.status, await codeOf(second)], [503, 'QUEUE_FULL']);
    assert.equal(await codeOf(await first), 'WAKE_TIMEOUT');
    await gateway.close();
  });
});

describe('the admin port', () => {
  it('reports demand: what is held, in flight, and what the pods hold', async () => {
    const gateway = await startGateway();
    const admin = await listen(gateway.gateway.admin, 0, '127.0.0.1');
    const pod = await FakePod.start();
    const loaded = state({ models: [resident('rl/tiny')] });
    pod.tell(loaded);
    let finish = () => {};
    pod.answer = (_request, res) => {
      finish = () => res.end('{}');
    };
    const readDemand = async () =>
      demandReport.parse(await (await fetch(`http://127.0.0.1:${admin.port}/demand`)).json());
    const answer = gateway.send('/v1/logprobs');
    await eventually(() => gateway.gateway.report().models[0]?.held === 1);
    const whileHeld = await readDemand();

    gateway.backend.up(pod.endpoint);
    await eventually(() => pod.received.length === 1 && gateway.gateway.report().pods.length === 1);
    const whileInFlight = await readDemand();
    finish();
    await answer;

    assert.equal(whileHeld.gateway, 'gateway-0');
    assert.deepEqual(
      whileHeld.models.map(({ held, inFlight }) => [held, inFlight]),
      [[1, 0]],
    );
    assert.deepEqual(
      whileInFlight.models.map(({ held, inFlight }) => [held, inFlight]),
      [[0, 1]],
    );
    assert.deepEqual(whileInFlight.pods, [
      { pod: 'pod-a', pool: 'rl/rfm-pool-cpu', state: loaded },
    ]);
    await gateway.gateway.close([gateway.traffic, admin], 0);
    await pod.close();
  });

  it('is ready once the models are known, until it drains', async () => {
    const gateway = await startGateway();
    const admin = await listen(gateway.gateway.admin, 0, '127.0.0.1');
    const ready = async () => (await fetch(`http://127.0.0.1:${admin.port}/readyz`)).status;
    gateway.backend.isReady = false;
    const before = await ready();
    gateway.backend.isReady = true;
    const synced = await ready();
    gateway.gateway.drain();

    assert.deepEqual([before, synced, await ready()], [503, 200, 503]);
    await gateway.gateway.close([gateway.traffic, admin], 0);
  });

  it('has metrics of requests, holds and wakes', async () => {
    const gateway = await startGateway();
    const admin = await listen(gateway.gateway.admin, 0, '127.0.0.1');
    const pod = await FakePod.start();
    gateway.backend.onWake = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      gateway.backend.up(pod.endpoint);
    };
    await (await gateway.send('/v1/logprobs')).text();
    await (await gateway.send('/rl/unknown/v1/logprobs')).text();

    const scrape = async () => (await fetch(`http://127.0.0.1:${admin.port}/metrics`)).text();
    const lines = (await scrape()).split('\n');

    assert.ok(lines.includes('refmodel_gateway_requests_total{model="rl/tiny",code="200"} 1'));
    assert.ok(lines.includes('refmodel_gateway_wakes_total{pool="rl/rfm-pool-cpu"} 1'));
    assert.ok(lines.includes('refmodel_gateway_in_flight_requests{model="rl/tiny"} 0'));
    assert.ok(lines.includes('refmodel_gateway_held_bytes 0'));
    assert.ok(lines.includes('refmodel_gateway_endpoints{pool="rl/rfm-pool-cpu"} 1'));
    assert.ok(lines.includes('refmodel_gateway_request_duration_seconds_count{model="rl/tiny"} 1'));
    await gateway.gateway.close([gateway.traffic, admin], 0);
    await pod.close();
  });
});
