// Padding, order, the rows beside it, packing, encoding and whatever else is asked never change a value: not one bit.
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { silentLogger } from '../../common/log.ts';
import { createLoader } from '../../server/model/load.ts';
import {
  int32Tensor,
  oipBody,
  readOip,
  readSafetensors,
  safetensorsBody,
} from '../support/binary-bodies.ts';
import { goldenRoot } from '../support/engine-kit.ts';
import { catalogModel, type ServerKit, startServerKit } from '../support/server-kit.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const vocabularySize = 256;
const token = fc.nat(vocabularySize - 1);
const rowOf = (maxLength: number) => fc.array(token, { minLength: 2, maxLength });
const batch = fc.record({
  beginning: rowOf(20),
  rows: fc.array(rowOf(40), { minLength: 1, maxLength: 5 }),
  alike: fc.array(rowOf(20), { maxLength: 3 }),
});

type Values = (number | null)[];

async function ask(kit: ServerKit, body: object): Promise<Values[]> {
  const { status, body: answer } = await kit.post('/v1/logprobs', body);
  assert.equal(status, 200, JSON.stringify(answer).slice(0, 300));
  return answer.logprobs;
}

/** Each row by itself. */
async function alone(kit: ServerKit, rows: number[][]): Promise<Values[]> {
  const values: Values[] = [];
  for (const row of rows) values.push(...(await ask(kit, { input_ids: [row] })));
  return values;
}

function padded(rows: number[][], side: 'left' | 'right') {
  const width = Math.max(...rows.map(({ length }) => length)) + 1;
  const fill = (row: number[], value: number) => {
    const pads = Array(width - row.length).fill(value);
    return side === 'left' ? [...pads, ...row] : [...row, ...pads];
  };
  return {
    input_ids: rows.map((row) => fill(row, 0)),
    attention_mask: rows.map((row) =>
      fill(
        row.map(() => 1),
        0,
      ),
    ),
  };
}

async function inBinary(kit: ServerKit, rows: number[][]): Promise<number[][]> {
  const bounds = rows.reduce((all, { length }) => [...all, (all.at(-1) ?? 0) + length], [0]);
  const flat = rows.flat();
  const tensors = [
    int32Tensor('input_ids', [flat.length], flat),
    int32Tensor('cu_seqlens', [bounds.length], bounds),
  ];
  const send = async (init: RequestInit) => {
    const res = await fetch(`${kit.url}/v1/logprobs`, { method: 'POST', ...init });
    return { headers: res.headers, bytes: Buffer.from(await res.arrayBuffer()) };
  };
  const type = 'application/x-safetensors';
  const file = await send({ body: safetensorsBody(tensors), headers: { 'content-type': type } });
  const oip = await send(oipBody(tensors));
  const length = Number(oip.headers.get('inference-header-content-length'));
  return [
    readSafetensors(file.bytes).tensors['logprobs'].values,
    readOip(oip.bytes, length).tensors['logprobs'].values,
  ];
}

const bits = (values: readonly Values[]) =>
  values.flat().map((value) => (value === null ? NaN : Math.fround(value)));

describe('a value of POST /v1/logprobs', () => {
  for (const name of ['llama', 'gemma2', 'gpt2', 'mixtral']) {
    it(`has the same bits whatever comes with it (${name})`, async () => {
      using cache = temporaryFolder();
      const source = { volume: { root: path.resolve(goldenRoot), path: name } };
      await using kit = await startServerKit({
        load: createLoader({ cacheDir: cache.path, threads: 1, log: silentLogger }),
        models: [catalogModel('rl/model', { source })],
      });

      await fc.assert(
        fc.asyncProperty(batch, async ({ beginning, rows: own, alike }) => {
          const rows = [...own, ...alike.map((rest) => [...beginning, ...rest])];
          const want = await alone(kit, rows);

          const together = await ask(kit, { input_ids: rows });
          const reversed = (await ask(kit, { input_ids: rows.toReversed() })).toReversed();
          const more = await ask(kit, {
            input_ids: rows,
            top_k: 3,
            temperature: 1,
            outputs: ['logprobs', 'topk', 'rank', 'entropy', 'logsumexp', 'tail', 'hidden_states'],
          });
          const left = await ask(kit, padded(rows, 'left'));
          const right = await ask(kit, padded(rows, 'right'));

          assert.deepEqual(together, want);
          assert.deepEqual(reversed, want);
          assert.deepEqual(more, want);
          const unpadded = (values: Values[], side: 'left' | 'right') =>
            values.map((row, r) => {
              const length = rows[r]!.length;
              return side === 'left' ? row.slice(-length) : row.slice(0, length);
            });
          assert.deepEqual(unpadded(left, 'left'), want);
          assert.deepEqual(unpadded(right, 'right'), want);
          for (const values of await inBinary(kit, rows)) assert.deepEqual(values, bits(want));
        }),
        { numRuns: 12 },
      );
    });
  }
});
