import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../../../common/clock.ts';
import { silentLogger } from '../../../../common/log.ts';
import { Texts } from '../../../../server/text/texts.ts';
import { FakeClock } from '../../../support/clock.ts';
import { forever } from '../../../support/scoring-kit.ts';
import { chatFolder } from '../../../support/text-kit.ts';
import { volumeOf } from '../../../support/volume.ts';

const tiny = 'examples/models/tiny-python-llama';
const open = (folder: string, clock = systemClock) =>
  new Texts({ folder: volumeOf(folder), limitMs: 60_000, clock, log: silentLogger });
const decode = { rows: [[1, 2]], skipSpecialTokens: false };

describe('Texts', () => {
  it('answers calls that run at once, each with its own', async () => {
    const texts = open(tiny);

    const [names, rows, one] = await Promise.all([
      texts.call('names', { ids: [1] }, forever),
      texts.call('decode', decode, forever),
      texts.ofTokens([1, 1, 2], forever),
    ]);

    assert.deepEqual(names, ['<bos>']);
    assert.deepEqual(rows, ['<bos><eos>']);
    assert.deepEqual([one(1), one(2)], ['<bos>', '<eos>']);
    texts.close();
  });

  it('numbers the tokens of a checkpoint without a tokenizer, and cannot read for it', async () => {
    const texts = open('/nowhere');

    assert.equal((await texts.ofTokens([5], forever))(5), 'token_id:5');
    assert.deepEqual(await texts.ofRows(decode, forever), ['']);
    await assert.rejects(texts.call('names', { ids: [1] }, forever), {
      code: 'TOKENIZER_UNAVAILABLE',
    });
    texts.close();
  });

  it('still answers when it is closed, those that wait and those that come', async () => {
    const texts = open(tiny);

    const waiting = texts.call('decode', decode, forever);
    texts.close();

    assert.deepEqual(await waiting, ['<bos><eos>']);
    assert.deepEqual(await texts.call('decode', decode, forever), ['<bos><eos>']);
  });

  it('gives up a template that never ends, and answers the next call', async () => {
    using folder = await chatFolder('{% for i in range(1000000000000) %}{% endfor %}');
    const clock = new FakeClock();
    const texts = open(folder.path, clock);
    const options = { addGenerationPrompt: false, continueFinalMessage: false, variables: {} };

    const endless = texts.call('chat', { conversations: [{ messages: [], options }] }, forever);
    await Promise.all([assert.rejects(endless, { code: 'TEXT_FAILED' }), clock.step(60_000)]);

    assert.deepEqual(await texts.call('decode', decode, forever), ['<bos><eos>']);
    texts.close();
  });

  it('rejects with the reason of a signal', async () => {
    const texts = open(tiny);
    const gone = new Error('gone');

    await assert.rejects(texts.call('decode', decode, AbortSignal.abort(gone)), gone);
  });
});
