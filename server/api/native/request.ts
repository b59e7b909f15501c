// Bodies of the native routes. Long lists are left to the files beside this one: a schema per element would take
// longer than some passes. What each field means stands here, and in the documents that are made of it.

import { z } from 'zod';
import { temperature } from '../schemas.ts';
import { isList, type List } from '../wire/list.ts';

const integers = { type: 'array', items: { type: 'integer' } } as const;
const nested = (items: object) => ({ type: 'array', items }) as const;

const list = (schema: object, description: string) =>
  z.custom<List>(isList, 'expected an array').meta({ ...schema, description });

/** Which rows, of which model. */
const rowFields = {
  model: z
    .string()
    .nullish()
    .describe(
      '"namespace/name", or the name where it is unique. Not needed where the address names the model.',
    ),
  revision: z
    .string()
    .nullish()
    .describe(
      'The revision or the digest that the loaded model must have; another is 409 `REVISION_MISMATCH`.',
    ),
  tokenizer_digest: z
    .string()
    .nullish()
    .describe(
      '"sha256:…" of the tokenizer.json that made the ids; another is 409 `TOKENIZER_MISMATCH`.',
    ),
  request_id: z.string().max(256).nullish().describe('Comes back in the answer.'),
  input_ids: list(
    { type: 'array', items: { anyOf: [integers, { type: 'integer' }] } },
    'Rows of token ids, of any lengths; with `cu_seqlens` one flat list.',
  ).nullish(),
  attention_mask: list(
    nested(integers),
    'Of the same shape as `input_ids`: 1 at tokens, 0 at the padding of either side, which is dropped.',
  ).nullish(),
  cu_seqlens: list(
    integers,
    'Where each row starts in a flat `input_ids`, and where the last one ends.',
  ).nullish(),
  groups: z
    .array(
      z.strictObject({
        prefix: list(integers, 'Token ids that the rows of the group begin with.'),
        suffixes: list(nested(integers), 'What follows in each row.'),
      }),
    )
    .nullish()
    .describe('Instead of `input_ids`: rows that begin alike. Only the suffixes are scored.'),
};

const numberPerRow = (schema: z.ZodType, description: string) =>
  z
    .union([schema, list({ type: 'array', items: { type: 'number' } }, 'One per row.')])
    .nullish()
    .describe(description);

export const outputs = [
  'logprobs',
  'topk',
  'candidates',
  'rank',
  'entropy',
  'logsumexp',
  'tail',
  'sums',
  'hidden_states',
] as const;
export type Output = (typeof outputs)[number];

/** Strict: a setting that would change the values must not be dropped silently. */
export const logprobsRequest = z.strictObject({
  ...rowFields,
  prompt_lengths: list(
    integers,
    'Tokens of each row that are context only, padding not counted.',
  ).nullish(),
  score_start: numberPerRow(
    z.int().min(0),
    'First position that is scored, in all rows or in each, padding not counted.',
  ),
  score_mask: list(
    nested(integers),
    'Of the same shape as `input_ids`: 1 where the token is scored.',
  ).nullish(),
  temperature: numberPerRow(
    temperature,
    'Logits are divided by it, in all rows or in each. Default 1.',
  ),
  top_k: z.int().min(0).nullish().describe('Most likely tokens at each position. Default 0.'),
  candidate_ids: list(
    nested(nested(integers)),
    'More tokens at each position of the answer, -1 for none: one list per position, of at most as many as the longest.',
  ).nullish(),
  outputs: z
    .array(z.enum(outputs))
    .nullish()
    .describe(
      'What is answered. Default: `logprobs`, and `topk` and `candidates` where they are asked.',
    ),
  align: z
    .enum(['target', 'source', 'response'])
    .nullish()
    .describe(
      'Where the value of a token stands: at the token (default), at the one before it, or in a row of scored tokens alone.',
    ),
  fill: z
    .number()
    .nullish()
    .describe('Stands where there is no value. Default: null, NaN in binary.'),
  policy_logprobs: list(
    nested({ type: 'array', items: { type: ['number', 'null'] } }),
    'Log-probs of the same tokens from the policy, of the shape of the answer: `kl` tells how far it is.',
  ).nullish(),
});
export type LogprobsRequest = z.output<typeof logprobsRequest>;

export const rewardsRequest = z.strictObject(rowFields);
export type RewardsRequest = z.output<typeof rewardsRequest>;

/** The names of an older service; `load_in_8bit` is accepted, the object says how the model is quantized. */
export const computeRequest = z.strictObject({
  model_name: rowFields.model,
  input_ids: rowFields.input_ids,
  attention_mask: rowFields.attention_mask,
  load_in_8bit: z
    .boolean()
    .nullish()
    .describe('Has no effect: the ReferenceModel says how it is quantized.'),
});
