// Every golden model on a GPU, in the numbers of its checkpoint and in float32, against the truth in float64.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { CatalogModel } from '../../server/contract.ts';
import type { Session } from '../../server/model/scoring.ts';
import {
  exampleRoot,
  goldenRoot,
  goldenRows,
  goldenScores,
  scoreAll,
  withSession,
} from '../support/engine-kit.ts';
import { withoutGpu } from '../support/gpu.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const models = [goldenRoot, exampleRoot].flatMap((root) =>
  readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ root, path: name })),
);

/** The largest and the mean difference from the truth. */
async function differences(
  session: Session,
  folder: string,
): Promise<{ max: number; mean: number }> {
  const { task } = session.identity;
  const truth =
    task === 'Reward'
      ? goldenScores(folder).map(({ scores }) => scores)
      : goldenRows(folder).map((row) => row.log_probs);
  const found =
    task === 'Reward'
      ? await session.reward(goldenScores(folder).map((row) => scoreAll(row.input_ids)))
      : await session
          .score(goldenRows(folder).map((row) => scoreAll(row.input_ids)))
          .then((rows) => rows.map(({ logprobs }) => logprobs));
  const all = truth.flatMap((row, r) =>
    row.map((value, i) => Math.abs(value - (found[r]?.[i] ?? NaN))),
  );
  return { max: Math.max(...all), mean: all.reduce((sum, value) => sum + value, 0) / all.length };
}

interface Numbers {
  readonly what: string;
  readonly changes: Partial<CatalogModel>;
  readonly mean: number;
  readonly max: number;
}

/**
 * A rounding to bfloat16 is off by 2⁻⁹ at most; a few dozen of them add up on the way to a log-probability. Where they
 * send a token to other experts it moves by more, hence the bound on the mean alone.
 */
const numbers: readonly Numbers[] = [
  { what: 'in float32', changes: { dtype: 'Float32' }, mean: 5e-6, max: 5e-5 },
  { what: 'in 16 bits', changes: {}, mean: 2 ** -4, max: Infinity },
  { what: 'in 8 bits', changes: { quantization: 'Int8' }, mean: 2 ** -3, max: Infinity },
];

describe('on a GPU', { skip: withoutGpu }, () => {
  for (const { root, path: name } of models) {
    for (const { what, changes, max, mean } of numbers) {
      it(`${name} is near the truth ${what}`, async (t) => {
        const source = { volume: { root, path: name } };
        const given = { provider: 'CUDA', source, ...changes } as const;

        using cache = temporaryFolder();

        await withSession(cache.path, given, async (session) => {
          const found = await differences(session, path.join(root, name));

          t.diagnostic(
            `largest ${found.max.toExponential(2)}, mean ${found.mean.toExponential(2)}`,
          );
          assert.ok(found.max <= max, `largest difference ${found.max}`);
          assert.ok(found.mean <= mean, `mean difference ${found.mean}`);
        });
      });
    }
  }
});
