import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BigramModels } from '../../../../support/bigram-model.ts';
import { startServerKit } from '../../../../support/server-kit.ts';

describe('the native routes', () => {
  it('are for POST', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    for (const path of ['/v1/logprobs', '/v1/rewards', '/compute_log_probs', '/compute_rewards']) {
      const { status, headers } = await kit.get(path);

      assert.deepEqual([status, headers.get('allow')], [405, 'POST'], path);
    }
  });
});
