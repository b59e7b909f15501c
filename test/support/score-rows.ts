// Rows that ask for this and that, at random.
import fc from 'fast-check';
import type { Candidates, ScoreRow } from '../../server/model/scoring.ts';
import { alikeRows } from './alike-rows.ts';
import { vocabularySize } from './bigram-model.ts';

const candidatesFor = (count: number): fc.Arbitrary<Candidates> =>
  fc.integer({ min: 1, max: 4 }).chain((width) =>
    fc
      .array(fc.integer({ min: -1, max: vocabularySize - 1 }), {
        minLength: count * width,
        maxLength: count * width,
      })
      .map((ids) => ({ ids: Int32Array.from(ids), width })),
  );

const askOf = (tokens: Int32Array): fc.Arbitrary<ScoreRow> =>
  fc.subarray(Array.from(tokens.keys()).slice(1)).chain((positions) =>
    fc.record(
      {
        tokens: fc.constant(tokens),
        positions: fc.constant(Int32Array.from(positions)),
        wantsNext: fc.boolean(),
        temperature: fc.constantFrom(1, 1, 0.5, 2),
        topK: fc.constantFrom(0, 0, 1, 3, 1000),
        candidates: candidatesFor(positions.length),
        wantsRanks: fc.boolean(),
        wantsEntropies: fc.boolean(),
        wantsNormalizers: fc.boolean(),
        wantsTails: fc.boolean(),
        wantsHidden: fc.boolean(),
      },
      { requiredKeys: ['tokens', 'positions'] },
    ),
  );

/** Several begin alike. */
export const scoreRows: fc.Arbitrary<ScoreRow[]> = alikeRows.chain((rows) =>
  fc.tuple(...rows.map(askOf)),
);
