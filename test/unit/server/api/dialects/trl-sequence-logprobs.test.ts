// The fields that TRL before 1.13 sends and reads.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { bigram } from '../../../../support/bigram-model.ts';
import { type DialectKit, startDialectKit } from '../../../../support/dialect-kit.ts';

const body = {
  sequences: [
    [1, 40, 3, 9],
    [1, 2],
    [7, 8],
  ],
  prompt_lengths: [1, 1, 0],
  top_logprobs: 3,
  temperature: 1,
  response_format: 'json',
};
const best = (last: number) => Math.max(...bigram(last));

describe('POST /get_sequence_logprobs/', () => {
  let kit: DialectKit;
  before(async () => {
    kit = await startDialectKit();
  });
  after(() => kit[Symbol.asyncDispose]());
  const ask = (fields: object = {}) => kit.post('/get_sequence_logprobs/', { ...body, ...fields });

  it('answers the completions only, best first', async () => {
    const { status, body: answer } = await ask();

    assert.equal(status, 200);
    assert.deepEqual(
      answer.logprobs.map((row: unknown[]) => row.length),
      [3, 1, 2],
    );
    assert.equal(Math.fround(answer.logprobs[0][1][0]), best(40));
    assert.equal(answer.logprob_token_ids[0][1][0], bigram(40).indexOf(best(40)));
    assert.deepEqual(answer.logprobs[2][0], []);
  });

  it('answers the same in arrays, with the tokens themselves, padded with -Infinity', async () => {
    const { body: answer } = await ask({ response_format: 'binary' });
    const json = (await ask()).body;
    const floats = (text: string) =>
      new Float32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);
    const integers = (text: string) =>
      new Int32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);

    assert.deepEqual(answer.shape, [3, 3, 3]);
    assert.deepEqual(answer.completion_lengths, [3, 1, 2]);
    const top = floats(answer.logprobs_b64);
    assert.deepEqual(Array.from(top.subarray(3, 6)), json.logprobs[0][1].map(Math.fround));
    const own = floats(answer.actual_logprobs_b64);
    assert.deepEqual(Array.from(own), [
      bigram(1)[40],
      bigram(40)[3],
      bigram(3)[9],
      bigram(1)[2],
      -Infinity,
      -Infinity,
      -Infinity,
      bigram(7)[8],
      -Infinity,
    ]);
    assert.deepEqual(
      Array.from(integers(answer.actual_token_ids_b64)),
      [40, 3, 9, 2, 0, 0, 0, 8, 0],
    );
  });

  it('scores at the temperature that it is told', async () => {
    const cold = (await ask({ temperature: 0.5 })).body;

    assert.notDeepEqual(cold.logprobs, (await ask()).body.logprobs);
    assert.deepEqual(cold.logprob_token_ids, (await ask()).body.logprob_token_ids);
  });

  it('refuses lengths that do not fit, and has one process', async () => {
    assert.equal((await ask({ prompt_lengths: [1] })).status, 400);
    assert.equal((await ask({ prompt_lengths: [5, 1, 1] })).status, 400);
    assert.equal((await ask({ temperature: 0 })).status, 400);
    assert.deepEqual((await kit.get('/get_world_size/')).body, { world_size: 1 });
  });
});
