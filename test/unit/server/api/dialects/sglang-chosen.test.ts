import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  candidatesOf,
  chosenAt,
  chosenIds,
  chosenWidth,
  readChosen,
} from '../../../../../server/api/dialects/sglang-chosen.ts';

const refused = { code: 'INVALID_REQUEST' };

describe('the tokens that a request to SGLang chooses', () => {
  it('are the same everywhere, in all prompts or in each', () => {
    const two = { count: 2, isList: true };

    assert.deepEqual(readChosen({ token_ids_logprob: [1, 2] }, two), [
      { everywhere: [1, 2] },
      { everywhere: [1, 2] },
    ]);
    assert.deepEqual(readChosen({ token_ids_logprob: [[1], [2]] }, two), [
      { everywhere: [1] },
      { everywhere: [2] },
    ]);
    assert.deepEqual(readChosen({}, two), [undefined, undefined]);
    assert.throws(() => readChosen({ token_ids_logprob: [[1]] }, two), refused);
  });

  it('are other ones at each position: of one prompt a list a token, of several a list of those', () => {
    const one = { count: 1, isList: false };
    const listed = { count: 1, isList: true };
    const positions = [[], [1, 2]];

    assert.deepEqual(readChosen({ token_ids_logprob_positions: positions }, one), [{ positions }]);
    assert.deepEqual(readChosen({ token_ids_logprob_positions: [positions] }, listed), [
      { positions },
    ]);
    assert.deepEqual(readChosen({ token_ids_logprob_positions: [[], []] }, one), [
      { positions: [[], []] },
    ]);
    for (const [value, prompts] of [
      [positions, listed],
      [[positions], one],
      [[positions, positions], listed],
    ] as const) {
      assert.throws(
        () => readChosen({ token_ids_logprob_positions: value as number[][] }, prompts),
        refused,
      );
    }
    const both = { token_ids_logprob: [1], token_ids_logprob_positions: positions };
    assert.throws(() => readChosen(both, one), refused);
  });

  it('are candidates, -1 where a position has fewer than another', () => {
    const chosen = { positions: [[], [7], [], [8, 9]] };
    const at = Int32Array.of(1, 2, 3);

    assert.deepEqual(candidatesOf(chosen, at, 4), {
      candidates: { ids: Int32Array.of(7, -1, -1, -1, 8, 9), width: 2 },
    });
    assert.throws(() => candidatesOf(chosen, at, 3), refused);
    assert.deepEqual(candidatesOf({ everywhere: [] }, at, 4), {});
  });

  it('are told by position, counted and listed', () => {
    const positions = { positions: [[1], [2, 3]] };

    assert.deepEqual(chosenAt(positions, 1), [2, 3]);
    assert.deepEqual(chosenAt(positions, 5), []);
    assert.deepEqual(chosenAt({ everywhere: [4] }, 5), [4]);
    assert.deepEqual([chosenWidth(positions), chosenWidth({ everywhere: [4] })], [2, 1]);
    assert.deepEqual(chosenIds(positions), [1, 2, 3]);
  });
});
