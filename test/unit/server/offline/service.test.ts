import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readItem } from '../../../../server/offline/items.ts';
import { scoreItems } from '../../../../server/offline/service.ts';
import { BigramModels, bigram } from '../../../support/bigram-model.ts';
import { startServerKit } from '../../../support/server-kit.ts';

const signal = new AbortController().signal;
const items = [
  readItem('{"input_ids": [5, 9, 2], "prompt_length": 2}', 0),
  readItem('{"prompt_ids": [5], "chosen_ids": [9], "rejected_ids": [2]}', 1),
];

describe('scoreItems', () => {
  it('gives each item its rows', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    const scores = await scoreItems(
      items,
      { url: `${kit.url}/`, temperature: 1, maxTries: 1 },
      signal,
    );

    const sums = scores.map((rows) => rows.map(({ sum }) => sum));
    assert.deepEqual(sums, [[bigram(9)[2]], [bigram(5)[9], bigram(5)[2]]]);
  });

  it('says at once what another try would not change', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });
    const options = { url: kit.url, model: 'rl/none', temperature: 1, maxTries: 5 };

    await assert.rejects(scoreItems(items, options, signal), {
      code: 'INVALID_REQUEST',
      message: /MODEL_NOT_FOUND/,
    });
  });

  it('gives up on a service that is not there', async () => {
    const options = { url: 'http://127.0.0.1:9', temperature: 1, maxTries: 1 };

    await assert.rejects(scoreItems(items, options, signal), { code: 'UPSTREAM_FAILED' });
  });
});
