import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startDialectKit } from '../../../../support/dialect-kit.ts';

describe('scorePrompts', () => {
  it('says who answered, and at which temperature', async () => {
    await using kit = await startDialectKit();
    const body = { prompt: [1, 2], prompt_logprobs: 0 };

    const raw = await kit.post('/v1/completions', { ...body, temperature: 0.5 });
    const scaled = await kit.post('/v1/completions', { ...body, prompt_logprobs_temperature: 0.5 });

    assert.equal(raw.headers.get('x-refmodel-temperature'), '1');
    assert.equal(scaled.headers.get('x-refmodel-temperature'), '0.5');
    assert.equal(raw.headers.get('x-refmodel-revision'), 'revision-of-rl/tiny');
    assert.notDeepEqual(raw.body.choices, scaled.body.choices);
  });

  it('refuses a temperature that would leave no numbers', async () => {
    await using kit = await startDialectKit();

    const tiny = { prompt: [1, 2], prompt_logprobs: 0, prompt_logprobs_temperature: 5e-324 };

    assert.equal((await kit.post('/v1/completions', tiny)).status, 400);
  });

  it('counts against the bound of an answer only what is scored', async () => {
    await using kit = await startDialectKit();
    const prompt = Array.from({ length: 20 }, (_, r) => [1, 2, r]);
    const ask = (fields: object) => kit.post('/v1/completions', { prompt, ...fields });

    assert.equal((await ask({ max_tokens: 1, logprobs: 200 })).status, 200);
    assert.equal((await ask({ prompt_logprobs: 200 })).status, 200);
  });
});
