// What a model takes and gives in the words of the Open Inference Protocol, and its inputs as prompts. Pure.
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import type { LoadedModel } from '../../model/loaded.ts';
import type { Prompt } from '../prompts.ts';
import { readRows, rowLength } from '../rows.ts';
import { isList, type List, sliceOf } from '../wire/list.ts';
import { list } from './fields.ts';

/** One way to send rows: ids with a mask, as of tokenizers; ids with lengths, as of NeMo-Aligner; or texts. */
const inputs = z.union(
  [
    z.object({ input_ids: list, attention_mask: list.nullish() }),
    z.object({ tokens: list, sequence_lengths: list }),
    z.object({ sentences: list }),
  ],
  'send input_ids, or tokens and sequence_lengths, or sentences',
);

export interface InferenceInputs {
  prompts: readonly Prompt[];
  /** Length of each row as it came, and where its tokens start: answers have the shape of what was sent. */
  places: readonly { length: number; start: number }[];
}

/** Throws EMPTY_BATCH, or INVALID_REQUEST naming the input. */
export function readInputs(fields: Readonly<Record<string, unknown>>): InferenceInputs {
  const parsed = inputs.safeParse(fields);
  if (!parsed.success) {
    throw invalid('inputs', 'send input_ids, or tokens and sequence_lengths, or sentences');
  }
  const { data } = parsed;
  if ('sentences' in data) {
    const prompts = Array.from(flat(data.sentences), readSentence);
    return { prompts, places: prompts.map(() => ({ length: 0, start: 0 })) };
  }
  const rows =
    'tokens' in data
      ? cut(data.tokens, flat(data.sequence_lengths))
      : readRows('input_ids', data.input_ids, data.attention_mask);
  return {
    prompts: rows.map((row) => sliceOf(row.ids, row.start, row.start + rowLength(row))),
    places: rows.map(({ ids, start }) => ({ length: ids.length, start })),
  };
}

/** [rows, 1] or [rows]. */
const flat = (values: List): unknown[] =>
  Array.from(values, (value: unknown) => (isList(value) && value.length === 1 ? value[0] : value));

function readSentence(text: unknown, r: number): Prompt {
  if (typeof text === 'string') return { text, addSpecialTokens: true };
  throw invalid(`sentences[${r}]`, 'expected a text');
}

function cut(tokens: List, lengths: readonly unknown[]) {
  const rows = readRows('tokens', tokens);
  if (rows.length !== lengths.length) {
    throw invalid('sequence_lengths', `${lengths.length} for ${rows.length} rows of tokens`);
  }
  return rows.map(({ ids, start }, r) => {
    const end = lengths[r];
    if (typeof end === 'number' && end >= 1 && end <= ids.length) return { ids, start, end };
    throw invalid(`sequence_lengths[${r}]`, `expected 1 to ${ids.length}`);
  });
}

const invalid = (place: string, problem: string) =>
  new AppError('INVALID_REQUEST', `reading ${place}: ${problem}`);

/** `GET /v2/models/<name>`. */
export function describeTensors({ model, session }: LoadedModel): object {
  const { identity, labels } = session;
  const isReward = identity.task === 'Reward';
  const ids = { datatype: 'INT64', shape: [-1, -1] };
  return {
    name: model.name,
    versions: [identity.revision],
    platform: 'refmodel',
    inputs: [
      { name: 'input_ids', ...ids },
      { name: 'attention_mask', ...ids },
    ],
    outputs: [
      isReward
        ? { name: 'rewards', datatype: 'FP32', shape: [-1, labels.length] }
        : { name: 'logprobs', datatype: 'FP32', shape: [-1, -1] },
    ],
  };
}
