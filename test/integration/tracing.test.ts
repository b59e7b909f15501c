// One request through gateway and server, real processes of `refmodel local`, as a collector of traces and a reader of
// logs see it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/gateway-kit.ts';
import { exampleManifest, Local } from '../support/local-command.ts';
import { OtlpReceiver, type ReceivedSpan } from '../support/otlp.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parentId = 'b7ad6b7169203331';
const headers = {
  'content-type': 'application/json',
  'x-request-id': 'my-request',
  traceparent: `00-${traceId}-${parentId}-01`,
};

describe('a request, traced and logged', () => {
  let receiver: OtlpReceiver;
  let local: Local;
  let answer: Response;

  before(async () => {
    receiver = await OtlpReceiver.start();
    local = await Local.start(exampleManifest('tiny', 'tiny-python-llama', '1m'), {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_BSP_SCHEDULE_DELAY: '100',
      REFMODEL_LOG_LEVEL: 'debug',
    });
    const body = JSON.stringify({ model: 'default/tiny', input_ids: [[1, 2, 3]] });
    answer = await fetch(`${local.url}/v1/logprobs`, { method: 'POST', headers, body });
    await answer.text();
    await eventually(() => receiver.spans.filter(({ kind }) => kind === 2).length === 2);
  });
  after(async () => {
    await local.stop();
    local.remove();
    await receiver[Symbol.asyncDispose]();
  });

  const find = (service: string, name: string): ReceivedSpan => {
    const span = receiver.spans.findLast((s) => s.service === service && s.name === name);
    assert.ok(span, `${service} sent no ${name}`);
    return span;
  };

  it('is one trace, that of its traceparent', () => {
    assert.equal(answer.status, 200);
    assert.deepEqual([...new Set(receiver.spans.map((span) => span.traceId))], [traceId]);
  });

  it('has every step where it belongs', () => {
    const gateway = find('refmodel-gateway', 'POST /v1/logprobs');
    const server = find('refmodel-server', 'POST /v1/logprobs');
    const parents: [string, string, ReceivedSpan][] = [
      ['refmodel-gateway', 'hold', gateway],
      ['refmodel-gateway', 'wake', find('refmodel-gateway', 'hold')],
      ['refmodel-gateway', 'forward', gateway],
      ['refmodel-server', 'POST /v1/logprobs', find('refmodel-gateway', 'forward')],
      ['refmodel-server', 'decode', server],
      ['refmodel-server', 'wait for load', server],
      ['refmodel-server', 'load', server],
      ['refmodel-server', 'Converting', find('refmodel-server', 'load')],
      ['refmodel-server', 'Loading', find('refmodel-server', 'load')],
      ['refmodel-server', 'queue', server],
      ['refmodel-server', 'pass', server],
      ['refmodel-server', 'encode', server],
    ];

    assert.equal(gateway.parentSpanId, parentId);
    for (const [service, name, parent] of parents) {
      assert.equal(find(service, name).parentSpanId, parent.spanId, `parent of ${name}`);
    }
  });

  it('links the pass to the request whose rows it holds, within whose time it is', () => {
    const server = find('refmodel-server', 'POST /v1/logprobs');
    const pass = find('refmodel-server', 'pass');

    assert.deepEqual(pass.links, [server.spanId]);
    assert.equal(pass.attributes['refmodel.rows'], 1);
    assert.equal(pass.attributes['refmodel.tokens'], 3);
    assert.ok(pass.startMs >= server.startMs && pass.endMs <= server.endMs);
  });

  it('says model, hold, status and request id', () => {
    const gateway = find('refmodel-gateway', 'POST /v1/logprobs');

    assert.equal(gateway.attributes['refmodel.model'], 'default/tiny');
    assert.equal(gateway.attributes['http.response.status_code'], 200);
    assert.equal(gateway.attributes['refmodel.request_id'], 'my-request');
    assert.ok(Number(find('refmodel-gateway', 'hold').attributes['refmodel.held_ms']) > 0);
  });

  it('answers with its id, and has it in the lines of both processes, the load’s among them', async () => {
    const lines = () =>
      local.logged
        .split('\n')
        .filter((line) => line.includes('"requestId":"my-request"'))
        .map((line) => JSON.parse(line) as { name: string; msg: string });
    await eventually(() => lines().filter(({ msg }) => msg === 'request answered').length === 2);

    assert.equal(answer.headers.get('x-request-id'), 'my-request');
    const said = new Set(lines().map(({ name, msg }) => `${name}: ${msg}`));
    assert.ok(said.has('local: request answered'));
    assert.ok(said.has('server: request answered'));
    assert.ok(said.has('server: phase of a load ended'));
  });

  it('has its id in the body of an error too, made up where none is given', async () => {
    const bad = await fetch(`${local.url}/v1/logprobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'default/tiny', input_ids: [] }),
    });

    const { error } = (await bad.json()) as { error: { code: string; request_id: string } };
    assert.equal(error.code, 'EMPTY_BATCH');
    assert.match(error.request_id, /^[0-9a-f-]{36}$/);
    assert.equal(bad.headers.get('x-request-id'), error.request_id);
  });
});
