import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bigram, rewardRow } from '../../../../support/bigram-model.ts';
import { type DialectKit, startDialectKit } from '../../../../support/dialect-kit.ts';

const lengthHeader = 'inference-header-content-length';
const score = (...ids: number[]) => rewardRow({ tokens: Int32Array.from(ids) }, 1)[0];

/** As clients with NumPy send it: a header, then int64 numbers. */
async function inferBinary(
  kit: DialectKit,
  path: string,
  inputs: Record<string, { shape: number[]; values: number[] }>,
) {
  const tensors = Object.entries(inputs).map(([name, { shape, values }]) => {
    const bytes = Buffer.from(BigInt64Array.from(values, BigInt).buffer);
    return {
      bytes,
      head: { name, shape, datatype: 'INT64', parameters: { binary_data_size: bytes.length } },
    };
  });
  const header = Buffer.from(JSON.stringify({ id: '7', inputs: tensors.map(({ head }) => head) }));
  const res = await fetch(kit.url + path, {
    method: 'POST',
    headers: { [lengthHeader]: String(header.length), 'content-type': 'application/octet-stream' },
    body: Buffer.concat([header, ...tensors.map(({ bytes }) => bytes)]),
  });
  const bytes = Buffer.from(await res.arrayBuffer());
  const length = Number(res.headers.get(lengthHeader));
  const head = JSON.parse(bytes.subarray(0, length || undefined).toString());
  return {
    status: res.status,
    head,
    values: new Float32Array(new Uint8Array(bytes.subarray(length)).buffer),
  };
}

const jsonBody = {
  id: 'mine',
  inputs: [
    { name: 'input_ids', datatype: 'INT64', shape: [2, 3], data: [1, 2, 3, 4, 5, 0] },
    { name: 'attention_mask', datatype: 'INT64', shape: [2, 3], data: [1, 1, 1, 1, 1, 0] },
  ],
};

describe('POST /v2/models/<name>/infer', () => {
  it('answers log-probs in the shape of the ids, null where nothing is known', async () => {
    await using kit = await startDialectKit();

    const { status, body } = await kit.post('/v2/models/rl/tiny/infer', jsonBody);

    assert.equal(status, 200, JSON.stringify(body));
    const [output] = body.outputs;
    assert.deepEqual([output.name, output.datatype, output.shape], ['logprobs', 'FP32', [2, 3]]);
    const want = [null, bigram(1)[2], bigram(2)[3], null, bigram(4)[5], null];
    assert.deepEqual(
      output.data.map((value: number | null) => value && Math.fround(value)),
      want,
    );
    assert.deepEqual([body.id, body.model_name], ['mine', 'rl/tiny']);
    assert.equal(body.model_version, 'revision-of-rl/tiny');
  });

  it('answers a request in binary in binary, with NaN where nothing is known', async () => {
    await using kit = await startDialectKit();

    const { head, values } = await inferBinary(kit, '/v2/models/tiny/versions/1/infer', {
      input_ids: { shape: [1, 3], values: [0, 1, 2] },
      attention_mask: { shape: [1, 3], values: [0, 1, 1] },
    });

    assert.deepEqual(head.outputs[0].shape, [1, 3]);
    assert.equal(head.id, '7');
    assert.deepEqual(Array.from(values), [Number.NaN, Number.NaN, bigram(1)[2]]);
  });

  it('answers rewards of tokens with lengths, and of sentences', async () => {
    await using kit = await startDialectKit({ labels: ['good'] });

    const tokens = await inferBinary(kit, '/v2/models/rl%2Ftiny/infer', {
      tokens: { shape: [2, 3], values: [1, 3, 4, 7, 0, 0] },
      sequence_lengths: { shape: [2, 1], values: [3, 1] },
    });
    const sentences = await kit.post('/v2/models/tiny/infer', {
      inputs: [{ name: 'sentences', datatype: 'BYTES', shape: [1, 1], data: ['!"'] }],
    });

    assert.deepEqual(tokens.head.outputs[0].shape, [2, 1]);
    assert.deepEqual(Array.from(tokens.values), [score(1, 3, 4), score(7)]);
    assert.equal(Math.fround(sentences.body.outputs[0].data[0]), score(1, 3, 4));
  });

  it('scales at the temperature in the parameters', async () => {
    await using kit = await startDialectKit();
    const ask = async (parameters: object) =>
      (await kit.post('/v2/models/tiny/infer', { ...jsonBody, parameters })).body;

    assert.notDeepEqual(
      (await ask({ temperature: 0.5 })).outputs,
      (await ask({ temperature: 1 })).outputs,
    );
    assert.equal((await ask({ temperature: 0 })).code, 'INVALID_REQUEST');
  });

  it('tells what is wrong as a text, with the statuses of every route', async () => {
    await using kit = await startDialectKit();
    for (const [path, body, status] of [
      ['/v2/models/tiny/infer', 'no JSON', 400],
      ['/v2/models/tiny/infer', { inputs: [] }, 400],
      ['/v2/models/none/infer', jsonBody, 404],
      ['/v2/models/tiny', jsonBody, 405],
    ] as const) {
      const answer = await kit.post(path, body);

      assert.equal(answer.status, status);
      assert.equal(typeof answer.body.error, 'string');
    }
    assert.equal((await kit.get('/v2/models/tiny/infer')).status, 405);
  });
});

describe('GET /v2', () => {
  it('tells the server, that it lives, what is ready, and what a model takes and gives', async () => {
    await using kit = await startDialectKit();

    for (const path of ['/v2', '/v2/health/live', '/v2/health/ready/', '/v2/models/tiny/ready']) {
      assert.equal((await kit.get(path)).status, 200, path);
    }
    const { body } = await kit.get('/v2/models/rl/tiny');
    assert.equal(body.name, 'rl/tiny');
    assert.deepEqual(body.outputs, [{ name: 'logprobs', datatype: 'FP32', shape: [-1, -1] }]);
  });
});
