import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../../../common/clock.ts';
import { silentLogger } from '../../../../common/log.ts';
import { loadForServing } from '../../../../server/model/loaded.ts';
import { BigramModels } from '../../../support/bigram-model.ts';
import { roomForAll, scoreAll } from '../../../support/engine-kit.ts';
import { catalogModel } from '../../../support/server-kit.ts';

const options = {
  clock: systemClock,
  log: silentLogger,
  maxQueuedRows: 10,
  maxQueuedTokens: 100,
  onPass: () => {},
  onHalved: () => {},
  onConverted: () => {},
};
const { signal } = new AbortController();

describe('loadForServing', () => {
  it('limits rows by the checkpoint and by the catalog, whichever is shorter', async () => {
    const load = loadForServing(new BigramModels({ contextTokens: 50 }).load, options);

    for (const [maxSequenceTokens, want] of [
      [40, 40],
      [60, 50],
    ] as const) {
      const loaded = await load(catalogModel('rl/a', { maxSequenceTokens }), roomForAll);

      assert.equal(loaded.maxSequenceTokens, want);
    }
  });

  it('knows texts, also when its session has ended', async () => {
    const folder = 'examples/models/tiny-python-llama';
    const load = loadForServing(new BigramModels({ folder }).load, options);

    const loaded = await load(catalogModel('rl/a'), roomForAll);
    const open = await loaded.texts.ofTokens([1], signal);
    await loaded.close();
    const closed = await loaded.texts.ofTokens([2], signal);

    assert.equal(open(1), '<bos>');
    assert.equal(closed(2), '<eos>');
  });

  it('has the queue of what the model does, and no other', async () => {
    const language = loadForServing(new BigramModels().load, options);
    const rewarding = loadForServing(new BigramModels({ labels: ['a', 'b'] }).load, options);
    const rows = [{ tokens: Int32Array.of(1, 2) }];

    const scorer = await language(catalogModel('rl/a'), roomForAll);
    const judge = await rewarding(catalogModel('rl/b'), roomForAll);

    assert.equal(scorer.rewards, undefined);
    assert.equal(judge.scores, undefined);
    const asked = rows.map(({ tokens }) => scoreAll(tokens));
    const [scored] = (await scorer.scores?.submit({ rows: asked }, signal)) ?? [];
    const [rewarded] = (await judge.rewards?.submit({ rows }, signal)) ?? [];
    assert.equal(scored?.logprobs.length, 1);
    assert.equal(rewarded?.length, 2);
  });

  it('ends with its session', async () => {
    const models = new BigramModels();
    const loaded = await loadForServing(models.load, options)(catalogModel('rl/a'), roomForAll);

    await loaded.close();

    await loaded.ended;
    assert.equal(models.sessions[0]?.isOpen, false);
  });
});
