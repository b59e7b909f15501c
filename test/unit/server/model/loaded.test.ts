import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../../common/log.ts';
import { loadForServing } from '../../../../server/model/loaded.ts';
import { BigramModels } from '../../../support/bigram-model.ts';
import { catalogModel } from '../../../support/server-kit.ts';

const { signal } = new AbortController();
const options = { log: silentLogger, maxQueuedRows: 10, maxQueuedTokens: 100, onPass: () => {} };
const reserve = async () => {};

describe('loadForServing', () => {
  it('limits rows by the checkpoint and by the catalog, whichever is shorter', async () => {
    const load = loadForServing(new BigramModels({ contextTokens: 50 }).load, options);

    for (const [maxSequenceTokens, want] of [
      [40, 40],
      [60, 50],
    ] as const) {
      const loaded = await load(catalogModel('rl/a', { maxSequenceTokens }), { reserve, signal });

      assert.equal(loaded.maxSequenceTokens, want);
    }
  });

  it('reads the tokenizer once, when it is first asked for', async () => {
    const folder = 'examples/models/tiny-python-llama';
    const load = loadForServing(new BigramModels({ folder }).load, options);

    const loaded = await load(catalogModel('rl/a'), { reserve, signal });

    assert.equal((await loaded.tokenizer()).token(1), '<bos>');
    assert.equal(await loaded.tokenizer(), await loaded.tokenizer());
  });

  it('ends with its session', async () => {
    const models = new BigramModels();
    const loaded = await loadForServing(models.load, options)(catalogModel('rl/a'), {
      reserve,
      signal,
    });

    await loaded.close();

    await loaded.ended;
    assert.equal(models.sessions[0]?.isOpen, false);
  });
});
