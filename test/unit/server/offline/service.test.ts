import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { linkSignals } from '../../../../common/abort.ts';
import type { Item } from '../../../../server/offline/items.ts';
import { Service, type ServiceOptions } from '../../../../server/offline/service.ts';
import { BigramModels, bigram } from '../../../support/bigram-model.ts';
import { startDialectKit } from '../../../support/dialect-kit.ts';
import { startServerKit } from '../../../support/server-kit.ts';

/** As runs have it. */
const { signal } = linkSignals(new AbortController().signal);
const items: Item[] = [
  { line: 0, share: 0.5, rows: [{ ids: [5, 9, 2], promptLength: 2 }], isPair: false },
  {
    line: 1,
    share: 1,
    rows: [
      { ids: [5, 9], promptLength: 1 },
      { ids: [5, 2], promptLength: 1 },
    ],
    isPair: true,
  },
];
const serviceOf = (url: string, options: Partial<ServiceOptions> = {}) =>
  new Service({ url, temperature: 1, addsEos: true, maxTries: 1, ...options });

describe('a service', () => {
  it('gives each item its rows, and says which weights they are of', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    const { scores, model } = await serviceOf(`${kit.url}/`).score(items, signal);

    const sums = scores.map((rows) => rows.map((row) => 'sum' in row && row.sum));
    assert.deepEqual(sums, [[bigram(9)[2]], [bigram(5)[9], bigram(5)[2]]]);
    assert.equal(model.quantization, 'None');
  });

  it('is asked for rewards where its model is for them', async () => {
    await using kit = await startServerKit({ load: new BigramModels({ labels: ['score'] }).load });
    const service = serviceOf(kit.url);

    const { scores } = await service.score(items, signal);

    assert.equal(await service.task(signal), 'reward');
    assert.deepEqual(
      scores.map((rows) => rows.length),
      [1, 2],
    );
    assert.ok(scores.flat().every((row) => 'reward' in row && Number.isFinite(row.reward)));
  });

  it('tokenizes texts and conversations, and knows the end of a sequence', async () => {
    await using kit = await startDialectKit();
    const service = serviceOf(kit.url);
    const messages = [{ role: 'user', content: '$' }];

    assert.ok((await service.tokenize({ prompt: '$' }, signal)).length > 0);
    assert.ok((await service.tokenize({ messages }, signal)).length > 0);
    assert.equal(await service.eos(signal), '<eos>');
    assert.equal(await serviceOf(kit.url, { addsEos: false }).eos(signal), '');
  });

  it('says at once what another try would not change', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });
    const service = serviceOf(kit.url, { model: 'rl/none', maxTries: 5 });

    await assert.rejects(service.score(items, signal), {
      code: 'INVALID_REQUEST',
      message: /MODEL_NOT_FOUND/,
    });
  });

  it('is asked again where it says that it may pass, and else not', async () => {
    const statuses = [503, 429, 200];
    const server = createServer((_req, res) => {
      res.writeHead(statuses.shift() ?? 500, { 'retry-after': '0.001' }).end('{"tokens":[7]}');
    }).listen(0);
    try {
      const { port } = server.address() as AddressInfo;
      const service = serviceOf(`http://127.0.0.1:${port}`, { maxTries: 3 });

      assert.deepEqual(await service.tokenize({ prompt: 'a' }, signal), [7]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it('is given up where it is not there', async () => {
    const service = serviceOf('http://127.0.0.1:9');

    await assert.rejects(service.score(items, signal), { code: 'UPSTREAM_FAILED' });
  });
});
