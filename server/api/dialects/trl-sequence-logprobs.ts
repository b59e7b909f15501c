// POST /get_sequence_logprobs/: what TRL before 1.13 asks of its own server. Only completions are scored. `temperature` scales the scores: here it has no other meaning.
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { clientSignal } from '../../../common/http.ts';
import { positionsFrom } from '../../model/scoring.ts';
import { logprobText } from '../float32.ts';
import { parseBody, temperature } from '../schemas.ts';
import { sendJsonText } from '../send-text.ts';
import type { List } from '../wire/list.ts';
import { type CandidateRow, mostLikely } from './candidates.ts';
import { ids, numbers } from './fields.ts';
import { checkTop, checkValues } from './limits.ts';
import { type DialectOptions, scorePrompts } from './scored.ts';

export const sequenceLogprobsRequest = z.object({
  model: z.string().nullish(),
  sequences: z.array(ids),
  prompt_lengths: numbers(z.array(z.int().min(0))),
  top_logprobs: z.int().min(1).nullish(),
  temperature: temperature.nullish(),
  response_format: z.enum(['json', 'binary']).nullish(),
});

interface Completion extends CandidateRow {
  promptLength: number;
}

export function postSequenceLogprobs(options: DialectOptions): RequestHandler {
  return async function sequenceLogprobs(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(sequenceLogprobsRequest, req.body);
    const { sequences, prompt_lengths: lengths, temperature } = body;
    const topK = body.top_logprobs ?? 100;
    checkTop('top_logprobs', topK, options.limits);
    checkLengths(sequences, lengths);
    const longest = longestOf(sequences.map(({ length }, r) => length - (lengths[r] ?? 0)));
    checkValues(sequences.length * longest, topK, options.limits);
    const ask = (length: number, r: number) => ({
      positions: positionsFrom(Math.max(1, lengths[r] ?? 0), length),
      topK,
      temperature: temperature ?? 1,
    });
    const request = { model: body.model, field: 'sequences', prompts: sequences, ask };
    const { rows } = await scorePrompts(options, { req, res }, request, signal);
    const completions = rows.map((row, r) => ({ ...row, promptLength: lengths[r] ?? 0 }));
    const write = body.response_format === 'binary' ? binaryText : nestedText;
    await sendJsonText(res, write(completions, topK), signal);
  };
}

function checkLengths(sequences: readonly List[], lengths: readonly number[]): void {
  const wrong = sequences.findIndex(({ length }, r) => (lengths[r] ?? Number.NaN) > length);
  if (wrong >= 0) {
    const message = `reading prompt_lengths[${wrong}]: longer than the sequence`;
    throw new AppError('INVALID_REQUEST', message);
  }
  if (sequences.length === lengths.length) return;
  const message = `reading prompt_lengths: ${lengths.length} for ${sequences.length} sequences`;
  throw new AppError('INVALID_REQUEST', message);
}

/** [rows][completion][k]; null where nothing can be known, at the first token of a row. */
function* nestedText(rows: readonly Completion[], topK: number): Generator<string> {
  yield '{"logprobs":[';
  for (const [r, row] of rows.entries()) {
    const texts = topOf(row, topK).map((top) => top?.map(({ logprob }) => logprobText(logprob)));
    yield `${r === 0 ? '' : ','}${nested(texts)}`;
  }
  yield '],"logprob_token_ids":[';
  for (const [r, row] of rows.entries()) {
    const ids = topOf(row, topK).map((top) => top?.map(({ id }) => String(id)));
    yield `${r === 0 ? '' : ','}${nested(ids)}`;
  }
  yield ']}';
}

const nested = (lists: readonly (readonly string[] | undefined)[]): string =>
  `[${lists.map((texts) => `[${texts?.join() ?? ''}]`).join()}]`;

/** At each position of the completion; undefined where nothing is scored. */
const topOf = ({ tokens, values, promptLength }: Completion, topK: number) =>
  Array.from({ length: tokens.length - promptLength }, (_, i) => {
    const at = i - (promptLength === 0 ? 1 : 0);
    return at < 0 ? undefined : mostLikely(values, at, topK);
  });

/** Arrays of float32 and int32 in base64, padded to the longest completion: with -Infinity, and id 0. */
function* binaryText(rows: readonly Completion[], topK: number): Generator<string> {
  const lengths = rows.map(({ tokens, promptLength }) => tokens.length - promptLength);
  const longest = longestOf(lengths);
  const top = emptyArrays(rows.length * longest * topK);
  const own = emptyArrays(rows.length * longest);
  for (const [r, { tokens, values, promptLength }] of rows.entries()) {
    const skipped = promptLength === 0 ? 1 : 0;
    own.logprobs.set(values.logprobs, r * longest + skipped);
    own.ids.set(tokens.subarray(promptLength + skipped), r * longest + skipped);
    for (const at of values.logprobs.keys()) {
      const to = (r * longest + skipped + at) * topK;
      top.logprobs.set(values.topLogprobs.subarray(at * values.k, (at + 1) * values.k), to);
      top.ids.set(values.topIds.subarray(at * values.k, (at + 1) * values.k), to);
    }
  }
  yield `{"logprobs_b64":"${base64(top.logprobs)}","token_ids_b64":"${base64(top.ids)}"`;
  yield `,"actual_logprobs_b64":"${base64(own.logprobs)}","actual_token_ids_b64":"${base64(own.ids)}"`;
  const shape = [rows.length, longest, topK];
  yield `,"shape":${JSON.stringify(shape)},"completion_lengths":${JSON.stringify(lengths)}}`;
}

/** Of many: more than a call takes as arguments. */
const longestOf = (lengths: readonly number[]): number =>
  lengths.reduce((most, length) => Math.max(most, length), 0);

const emptyArrays = (size: number) => ({
  logprobs: new Float32Array(size).fill(-Infinity),
  ids: new Int32Array(size),
});

const base64 = ({ buffer }: Float32Array | Int32Array): string =>
  Buffer.from(buffer).toString('base64');
