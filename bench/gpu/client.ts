// Scores rows over HTTP, as a trainer would: safetensors or JSON in, the same out.
import { Agent, request } from 'undici';
import type { ScoreRow } from '../../server/model/scoring.ts';

export type Encoding = 'safetensors' | 'JSON';

/** No pass takes so long, and connections are kept. */
const agent = new Agent({ headersTimeout: 600_000, bodyTimeout: 600_000, connections: 256 });

const encoders = { safetensors: safetensorsBody, JSON: jsonBody } as const;
const types = { safetensors: 'application/x-safetensors', JSON: 'application/json' } as const;

/** Bytes of the answer. Throws when it is none. */
export async function score(
  url: string,
  model: string,
  rows: readonly ScoreRow[],
  encoding: Encoding,
): Promise<number> {
  const type = types[encoding];
  const { statusCode, body } = await request(`${url}/v1/logprobs`, {
    method: 'POST',
    headers: { 'content-type': type, accept: type },
    body: encoders[encoding](model, rows),
    dispatcher: agent,
  });
  const answer = Buffer.from(await body.arrayBuffer());
  if (statusCode !== 200) throw new Error(`${statusCode}: ${answer.toString().slice(0, 500)}`);
  return answer.length;
}

const startsOf = (rows: readonly ScoreRow[]) =>
  rows.map(({ tokens, positions }) => positions[0] ?? tokens.length);

function jsonBody(model: string, rows: readonly ScoreRow[]): string {
  const ids = rows.map(({ tokens }) => [...tokens]);
  return JSON.stringify({ model, input_ids: ids, prompt_lengths: startsOf(rows) });
}

function safetensorsBody(model: string, rows: readonly ScoreRow[]): Buffer {
  const ends = rows.map((_, r) =>
    rows.slice(0, r + 1).reduce((n, row) => n + row.tokens.length, 0),
  );
  const tensors = {
    input_ids: Buffer.concat(rows.map(({ tokens }) => Buffer.from(tokens.buffer))),
    cu_seqlens: Buffer.from(Int32Array.of(0, ...ends).buffer),
    prompt_lengths: Buffer.from(Int32Array.from(startsOf(rows)).buffer),
  };
  let at = 0;
  const entries = Object.entries(tensors).map(([name, { length }]) => {
    const entry = { dtype: 'I32', shape: [length / 4], data_offsets: [at, at + length] };
    at += length;
    return [name, entry] as const;
  });
  const header = { __metadata__: { model }, ...Object.fromEntries(entries) };
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, ...Object.values(tensors)]);
}
