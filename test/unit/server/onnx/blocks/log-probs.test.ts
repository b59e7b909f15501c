import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { logProbs, type Parts, partsOf } from '../../../../../server/onnx/blocks/log-probs.ts';
import { Tape } from '../../../../../server/onnx/tape.ts';
import { cpuTarget } from '../../../../../server/onnx/target.ts';
import {
  flag,
  floats,
  integers,
  largestDifference,
  noise,
  runGraph,
} from '../../../../support/run-graph.ts';

const [rows, V] = [3, 12];
const logits = noise(rows * V, 1).map((x) => 8 * x);
const ids = [0, 11, 5, 4, 7, 3];

interface Asked {
  readonly parts: Parts;
  readonly temperatures?: readonly number[];
}

async function run({ parts, temperatures }: Asked) {
  const tape = Tape.start('/head');
  const tempered = {
    logits: tape.input({ name: 'logits', type: 'float32', shape: ['rows', V] }),
    temperatures: tape.input({ name: 'temperatures', type: 'float32', shape: ['rows', 1] }),
    isTempered: tape.input({ name: 'is_tempered', type: 'bool', shape: [1] }),
  };
  const asked = tape.input({ name: 'ids', type: 'int32', shape: ['rows', 2] });
  const found = logProbs(tape, tempered, parts);
  const port = { type: 'float32', shape: ['rows', 'k'] } as const;
  tape.output({ name: 'of', ...port }, found.of(tape, asked));
  tape.output({ name: 'all', ...port }, found.all(tape));
  const { of, all } = await runGraph(tape.finish(), {
    logits: floats([rows, V], logits),
    temperatures: floats([rows, 1], temperatures ?? [1, 1, 1]),
    is_tempered: flag(temperatures !== undefined),
    ids: integers([rows, 2], ids),
  });
  return { of: of?.data ?? [], all: all?.data ?? [] };
}

function expected(temperatures: readonly number[] = [1, 1, 1]): number[] {
  return temperatures.flatMap((temperature, r) => {
    const row = Array.from(logits.subarray(r * V, (r + 1) * V), (logit) => logit / temperature);
    const sum = Math.log(row.reduce((total, logit) => total + Math.exp(logit), 0));
    return row.map((logit) => logit - sum);
  });
}

describe('logProbs', () => {
  for (const parts of [
    { count: 1, width: 12 },
    { count: 3, width: 4 },
    { count: 12, width: 1 },
  ]) {
    for (const temperatures of [undefined, [0.5, 1, 3]]) {
      const how = temperatures ? 'at their temperatures' : 'as they are';
      it(`are those of the whole vocabulary, from ${parts.count} parts, logits ${how}`, async () => {
        const { all } = await run({ parts, temperatures });

        assert.ok(largestDifference(expected(temperatures), all) < 4e-6);
      });

      it(`of single tokens have the same bits, from ${parts.count} parts, logits ${how}`, async () => {
        const { of, all } = await run({ parts, temperatures });

        const picked = ids.map((id, i) => all[Math.floor(i / 2) * V + id]);
        assert.deepEqual(Array.from(of), picked);
      });
    }
  }
});

describe('partsOf', () => {
  const gpu = { provider: 'CUDA', type: 'bfloat16' } as const;

  it('divides the vocabulary of a GPU into the widest equal parts that its kernel reads once', () => {
    assert.deepEqual(partsOf(128_256, gpu), { count: 128, width: 1002 });
    assert.deepEqual(partsOf(32_000, gpu), { count: 32, width: 1000 });
    assert.deepEqual(partsOf(1000, gpu), { count: 1, width: 1000 });
  });

  it('else into those that its cache holds', () => {
    assert.deepEqual(partsOf(50_257, gpu), { count: 29, width: 1733 });
  });

  it('leaves alone what has no such divisor', () => {
    assert.deepEqual(partsOf(50_261, gpu), { count: 1, width: 50_261 });
    assert.deepEqual(partsOf(100, gpu), { count: 1, width: 100 });
  });

  it('changes nothing on a CPU or in float32', () => {
    assert.equal(partsOf(128_256, cpuTarget).count, 1);
    assert.equal(partsOf(128_256, { ...gpu, type: 'float32' }).count, 1);
  });
});
