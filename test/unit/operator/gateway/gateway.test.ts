import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { codeOf, eventually, FakePod, startGateway } from '../../../support/gateway-kit.ts';

describe('closing a gateway', () => {
  it('lets held and running requests finish, and asks clients to leave', async () => {
    const gateway = await startGateway();
    const pod = await FakePod.start();
    const held = gateway.send('/v1/logprobs');
    await eventually(() => gateway.gateway.report().models[0]?.held === 1);

    gateway.gateway.drain();
    const closed = gateway.close(60_000);
    gateway.backend.up(pod.endpoint);
    const response = await held;
    await response.text();
    await closed;

    assert.equal(response.status, 200);
    await pod.close();
  });

  it('still serves new requests while it drains, closing their connections', async () => {
    const gateway = await startGateway();
    const pod = await FakePod.start();
    gateway.backend.up(pod.endpoint);

    gateway.gateway.drain();
    const response = await gateway.send('/v1/logprobs');

    assert.equal(response.status, 200);
    assert.equal(response.headers.get('connection'), 'close');
    await response.text();
    await gateway.close();
    await pod.close();
  });

  it('answers SHUTTING_DOWN to what is still held or running when its time is up', async () => {
    const gateway = await startGateway();
    const pod = await FakePod.start({ answer: () => {} });
    gateway.backend.up(pod.endpoint);
    const running = gateway.send('/v1/logprobs');
    await eventually(() => pod.received.length === 1);
    gateway.backend.down(pod.endpoint);
    const held = gateway.send('/v1/logprobs');
    await eventually(() => gateway.gateway.report().models[0]?.held === 1);

    await Promise.all([
      gateway.close(10),
      (async () => {
        for (const response of await Promise.all([running, held])) {
          assert.equal(response.status, 503);
          assert.ok(response.headers.get('retry-after'));
          assert.equal(await codeOf(response), 'SHUTTING_DOWN');
        }
      })(),
    ]);
    await pod.close();
  });

  it('does not wait for a client that never finishes its request', async () => {
    const gateway = await startGateway();
    const client = connect(gateway.traffic.port, '127.0.0.1');
    client.write('POST /v1/logprobs HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf');
    const cut = new Promise((resolve) => client.once('close', resolve));
    client.on('error', () => {}).resume();
    await eventually(() => client.bytesWritten > 60);

    await gateway.close();

    await cut;
  });

  it('ends the streams and the subscriptions', async () => {
    const gateway = await startGateway();
    const pod = await FakePod.start();
    gateway.backend.up(pod.endpoint);
    await eventually(() => pod.watchers === 1);

    await gateway.close();

    await eventually(() => pod.watchers === 0);
    assert.equal(gateway.backend.listeners, 0);
    await pod.close();
  });
});
