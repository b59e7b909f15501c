import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jsonText } from '../../../../../server/api/answer/json.ts';
import { printRows } from '../../../../../server/api/answer/print.ts';

const threads = {
  print: async (rows: Parameters<typeof printRows>[0]) => Buffer.from(printRows(rows)),
};

async function textOf(answer: Parameters<typeof jsonText>[0]) {
  let [text, pieces] = ['', 0];
  for await (const piece of jsonText(answer, threads)) {
    text += Buffer.from(piece).toString();
    pieces += 1;
  }
  return { text, pieces };
}

describe('jsonText', () => {
  it('has the columns in order, then the rest', async () => {
    const { text } = await textOf({
      offsets: Int32Array.of(0, 1, 3),
      positions: [{ name: 'a', kind: 'Id', values: Int32Array.of(1, 2, 3) }],
      rows: [{ name: 'b', kind: 'Number', values: Float32Array.of(0.5, 1) }],
      rest: { model: 'm' },
    });

    assert.equal(text, '{"a":[[1],[2,3]],"b":[0.5,1],"model":"m"}');
  });

  it('is the rest alone without columns', async () => {
    const nothing = { offsets: new Int32Array(1), positions: [], rows: [], rest: { model: 'm' } };

    assert.equal((await textOf(nothing)).text, '{"model":"m"}');
  });

  it('comes in pieces where it is long, none of them a part of a row', async () => {
    const rows = 50;
    const length = 2000;
    const values = Int32Array.from({ length: rows * length }, (_, i) => i % 7);
    const offsets = Int32Array.from({ length: rows + 1 }, (_, r) => r * length);

    const { text, pieces } = await textOf({
      offsets,
      positions: [{ name: 'a', kind: 'Id', values }],
      rows: [],
      rest: {},
    });

    assert.ok(pieces > 5, `${pieces} pieces`);
    assert.deepEqual(JSON.parse(text.replace(',}', '}')).a.flat(), [...values]);
  });
});
