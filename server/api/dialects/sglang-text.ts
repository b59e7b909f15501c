// The body that SGLang's /generate answers: lists of [log-prob, id, text], the first of a prompt without a value.
import { logprobText } from '../float32.ts';
import { type Candidate, type CandidateRow, mostLikely, nextToken } from './candidates.ts';
import { chosenAt, chosenWidth } from './sglang-chosen.ts';
import { firstPosition, type SglangWanted } from './sglang-request.ts';

export interface SglangRow extends CandidateRow {
  id: string;
  /** Of the generated token. */
  text: string;
  wanted: SglangWanted;
}

export interface SglangView {
  isList: boolean;
  weightVersion: string;
  textOf: (id: number) => string | null;
}

export function* sglangText(rows: readonly SglangRow[], view: SglangView): Generator<string> {
  if (view.isList) yield '[';
  for (const [index, row] of rows.entries()) {
    yield index === 0 ? '' : ',';
    yield* rowText(row, view);
  }
  if (view.isList) yield ']';
}

function* rowText(row: SglangRow, view: SglangView): Generator<string> {
  const { wantsNext, logprobs } = row.wanted;
  const ids = wantsNext ? [nextToken(row.values)] : [];
  const meta = {
    id: row.id,
    finish_reason: { type: 'length', length: ids.length },
    prompt_tokens: row.tokens.length,
    completion_tokens: ids.length,
    cached_tokens: 0,
    weight_version: view.weightVersion,
  };
  const start = JSON.stringify({ text: row.text, output_ids: ids, meta_info: meta });
  yield start.slice(0, -2);
  if (logprobs) yield* logprobsText(row, logprobs, view.textOf);
  yield '}}';
}

type TextOf = SglangView['textOf'];

function* logprobsText(
  { tokens, values, wanted }: SglangRow,
  { startLength, topK, chosen }: NonNullable<SglangWanted['logprobs']>,
  textOf: TextOf,
): Generator<string> {
  const first = firstPosition(startLength, tokens.length);
  const scored = Math.max(0, tokens.length - first - 1);
  const at = (i: number) => ({ id: tokens[first + 1 + i] ?? 0, logprob: values.logprobs[i] ?? 0 });
  const own = (i: number) => triple(at(i), textOf);
  const top = (i: number) => triples(mostLikely(values, i, topK), textOf);
  const width = chosen ? chosenWidth(chosen) : 0;
  const besides = (i: number) =>
    triples(
      (chosen ? chosenAt(chosen, first + 1 + i) : []).map((id, c) => ({
        id,
        logprob: values.candidateLogprobs[i * width + c] ?? 0,
      })),
      textOf,
    );
  const firstEntry =
    first < tokens.length ? [`[null,${tokens[first]},${quoted(tokens[first], textOf)}]`] : [];
  const noEntry = firstEntry.map(() => 'null');
  yield ',"input_token_logprobs":';
  yield* list(firstEntry, scored, own);
  const next = wanted.wantsNext ? values.logprobs.length - 1 : -1;
  const generated = { id: nextToken(values), logprob: values.logprobs[next] ?? 0 };
  yield `,"output_token_logprobs":[${next < 0 ? '' : triple(generated, textOf)}]`;
  if (topK > 0) {
    yield ',"input_top_logprobs":';
    yield* list(noEntry, scored, top);
    yield `,"output_top_logprobs":[${next < 0 ? '' : top(next)}]`;
  }
  if (chosen) {
    yield ',"input_token_ids_logprobs":';
    yield* list(noEntry, scored, besides);
    yield `,"output_token_ids_logprobs":[${next < 0 ? '' : 'null'}]`;
  }
}

function* list(
  first: readonly string[],
  count: number,
  entry: (i: number) => string,
): Generator<string> {
  yield `[${first.join()}`;
  for (let i = 0; i < count; i++) yield `${i === 0 && first.length === 0 ? '' : ','}${entry(i)}`;
  yield ']';
}

type Entry = Pick<Candidate, 'id' | 'logprob'>;

const triples = (entries: readonly Entry[], textOf: TextOf): string =>
  `[${entries.map((entry) => triple(entry, textOf)).join()}]`;
const triple = ({ id, logprob }: Entry, textOf: TextOf): string =>
  `[${logprobText(logprob)},${id},${quoted(id, textOf)}]`;
const quoted = (id: number | undefined, textOf: TextOf): string =>
  JSON.stringify(id === undefined ? null : textOf(id));
