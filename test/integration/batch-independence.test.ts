// The values of a sequence do not depend on what shares its batch.
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { Session } from '../../server/model/scoring.ts';
import { randomRows } from '../support/convert-kit.ts';
import { exampleRoot, goldenRoot, scoreAll, withSession } from '../support/engine-kit.ts';
import { largestDifference } from '../support/run-graph.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const models = [
  { root: exampleRoot, name: 'tiny-python-llama', vocabulary: 2048, what: 'a trained model' },
  { root: goldenRoot, name: 'gemma2', vocabulary: 256, what: 'soft caps and windows' },
  { root: goldenRoot, name: 'mixtral', vocabulary: 256, what: 'experts' },
  { root: goldenRoot, name: 'gpt2', vocabulary: 256, what: 'learned positions' },
];

async function scores(session: Session, rows: readonly Int32Array[]): Promise<Float32Array[]> {
  const scored = await session.score(rows.map((row) => scoreAll(row)));
  return scored.map(({ logprobs }) => logprobs);
}

describe('the values of a sequence', () => {
  for (const { root, name, vocabulary, what } of models) {
    it(`are the same alone, beside others, and where others begin alike (${name}: ${what})`, async () => {
      using cache = temporaryFolder();
      const volume = { root: path.resolve(root), path: name };
      await withSession(cache.path, { source: { volume } }, async (session) => {
        const [row] = randomRows([200], vocabulary, 7);
        const [alone] = await scores(session, [row!]);

        for (let round = 0; round < 5; round++) {
          const others = randomRows([5 + round * 13, 150, 200, 33], vocabulary, 100 + round);
          const alike = others.map((other) => {
            const copy = Int32Array.from(other);
            copy.set(row!.subarray(0, Math.min(other.length - 1, 20 + round * 30)));
            return copy;
          });
          for (const batch of [others, alike]) {
            const beside = (await scores(session, [...batch, row!])).at(-1);

            const difference = largestDifference(alone!, beside!);
            assert.ok(difference <= 1e-6, `round ${round}: they differ by ${difference}`);
          }
        }
      });
    });
  }
});
