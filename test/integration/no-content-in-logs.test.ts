// What callers send, and what is computed of it, reaches no log: not at the finest level, not when requests fail.
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { FakeReviews, tokenOf } from '../support/access-kit.ts';
import { BigramModels } from '../support/bigram-model.ts';
import { endpoint, FakePod, model, startGateway } from '../support/gateway-kit.ts';
import { startServerKit } from '../support/server-kit.ts';

/** Stand in bodies, headers, queries and ids of tokens, and nowhere else. */
const marks = ['marked-text', 'marked-header', 'marked-query', '48151623'];
const token = tokenOf('marked-caller');

function recorder() {
  let text = '';
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString('utf8');
      done();
    },
  });
  return { log: pino({ level: 'trace' }, sink), text: () => text };
}

const bodies = [
  JSON.stringify({ model: 'rl/tiny', input_ids: [[1, 2, 3]] }),
  JSON.stringify({ model: 'rl/tiny', input_ids: [[1, 2, 3]], note: 'marked-text' }),
  JSON.stringify({ model: 'rl/tiny', input_ids: [[1, 48151623]] }),
  JSON.stringify({ model: 'rl/tiny', prompt: 'marked-text', max_tokens: 0 }),
  '{"model":"rl/tiny","prompt":"marked-text',
  JSON.stringify({ model: 'marked-text', input_ids: [[48151623]] }),
];
const json = { 'content-type': 'application/json' };
const paths = ['/v1/logprobs', '/v1/completions', '/tokenize', '/generate', '/nothing'];

/** Every body to every path of `url`. */
async function sendAll(url: string): Promise<number[]> {
  const headers = { authorization: `Bearer ${token}`, 'x-note': 'marked-header' };
  const answers: number[] = [];
  for (const path of paths) {
    for (const body of bodies) {
      const options = { method: 'POST', body, headers: { ...headers, ...json } };
      const answer = await fetch(`${url}${path}?q=marked-query`, options);
      await answer.arrayBuffer();
      answers.push(answer.status);
    }
  }
  return answers;
}

function assertClean(text: string): void {
  for (const mark of [...marks, token, token.split('.')[1] ?? '']) {
    assert.ok(!text.includes(mark), `"${mark}" is in the log`);
  }
}

describe('the log', () => {
  it('of a gateway has nothing of requests, of those that fail neither', async () => {
    const { log, text } = recorder();
    const pod = await FakePod.start();
    const reviews = new FakeReviews({});
    reviews.failure = new Error('the API server is down');
    const models = [model(), model({ key: 'rl/guarded', access: 'Authenticated' })];
    const gateway = await startGateway({ models, reviews, log });
    gateway.backend.up(pod.endpoint);
    await sendAll(gateway.url);
    await sendAll(`${gateway.url}/rl/guarded`);
    pod.answer = (_received, res) => res.destroy();
    await gateway.send('/v1/logprobs', { body: bodies[1] ?? '' });
    gateway.backend.down(pod.endpoint);
    gateway.backend.up(endpoint()); // nobody listens there
    const headers = { 'x-refmodel-hold-timeout-ms': '1' };
    await gateway.send('/v1/logprobs', { body: bodies[1] ?? '', headers });
    await gateway.close();
    await pod.close();

    assert.match(text(), /pod did not answer/); // it did write
    assertClean(text());
  });

  it('of a server has nothing of requests either', async () => {
    const { log, text } = recorder();
    {
      await using kit = await startServerKit({ load: new BigramModels().load, log });
      const answers = await sendAll(kit.url);
      assert.ok(answers.includes(200) && answers.includes(400), answers.join());
    }

    assert.notEqual(text(), '');
    assertClean(text());
  });
});
