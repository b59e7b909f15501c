// The body of a completion, in vLLM's and OpenAI's shape. Written as text: the keys of `prompt_logprobs` are token ids,
// clients take the first one for the token itself, and a JavaScript object would sort them.

import type { TokenTexts } from '../model/checkpoint/tokenizer.ts';
import type { ScoredRow } from '../model/scoring.ts';
import { logprobText } from './float32.ts';

export interface CompletionRow {
  tokens: Int32Array;
  /** Of positions 1 … n-1 if the prompt was scored, then of the next position if that was wanted. */
  values: ScoredRow;
}

/** What the request asked to see. */
export interface CompletionView {
  echo: boolean;
  wantsNext: boolean;
  /** Most likely tokens per position; undefined for no such list at all. */
  logprobs?: number;
  promptLogprobs?: number;
}

export interface CompletionHead {
  id: string;
  created: number;
  model: string;
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
}

interface Candidate {
  id: number;
  logprob: number;
  rank: number;
}

export function* completionText(
  head: CompletionHead,
  rows: readonly CompletionRow[],
  view: CompletionView,
  texts: TokenTexts,
): Generator<string> {
  const { id, created, model, usage } = head;
  const start = JSON.stringify({ id, object: 'text_completion', created, model });
  yield `${start.slice(0, -1)},"choices":[`;
  for (const [index, row] of rows.entries()) {
    yield index === 0 ? '' : ',';
    yield* choiceText(index, row, view, texts);
  }
  yield `],"usage":${JSON.stringify(usage)}}`;
}

function* choiceText(
  index: number,
  row: CompletionRow,
  view: CompletionView,
  texts: TokenTexts,
): Generator<string> {
  yield `{"index":${index},"text":${JSON.stringify(shownText(row, view, texts))},"logprobs":`;
  if (view.logprobs === undefined) yield 'null';
  else yield* logprobsText(row, view, view.logprobs, texts);
  yield ',"finish_reason":"length","stop_reason":null,"prompt_logprobs":';
  if (view.promptLogprobs === undefined) yield 'null';
  else yield* promptLogprobsText(row, view.promptLogprobs, texts);
  yield '}';
}

function shownText({ tokens, values }: CompletionRow, view: CompletionView, texts: TokenTexts) {
  const prompt = view.echo ? texts.join(tokens, { skipsSpecial: false }) : '';
  const next = view.wantsNext ? texts.join([nextToken(values)], { skipsSpecial: true }) : '';
  return prompt + next;
}

/** vLLM's list: null, then per position an object of token id → candidate. */
function* promptLogprobsText(row: CompletionRow, k: number, texts: TokenTexts): Generator<string> {
  yield '[null';
  for (let position = 1; position < row.tokens.length; position++) {
    const entries = candidates(row.values, position - 1, row.tokens[position] ?? 0, k).map(
      ({ id, logprob, rank }) =>
        `"${id}":{"logprob":${logprobText(logprob)},"rank":${rank},"decoded_token":${JSON.stringify(texts.token(id))}}`,
    );
    yield `,{${entries.join(',')}}`;
  }
  yield ']';
}

/** OpenAI's four parallel lists, over what `text` shows. */
function* logprobsText(
  row: CompletionRow,
  view: CompletionView,
  k: number,
  texts: TokenTexts,
): Generator<string> {
  const shown = shownTokens(row, view).map(({ id, at }) => ({ id, at, text: texts.token(id) }));
  let length = 0;
  const offsets = shown.map(({ text }) => {
    const offset = length;
    length += Array.from(text).length; // code points, as Python counts
    return offset;
  });
  const tokens = shown.map(({ text }) => text);
  yield `{"text_offset":${JSON.stringify(offsets)},"tokens":${JSON.stringify(tokens)},"token_logprobs":[`;
  for (const [i, { at }] of shown.entries()) {
    yield `${i === 0 ? '' : ','}${at === undefined ? 'null' : logprobText(row.values.logprobs[at] ?? 0)}`;
  }
  yield '],"top_logprobs":[';
  for (const [i, { id, at }] of shown.entries()) {
    yield `${i === 0 ? '' : ','}${at === undefined ? 'null' : topText(candidates(row.values, at, id, k), texts)}`;
  }
  yield ']}';
}

/** Several ids may have one text: the first, the more telling one, keeps it. */
function topText(entries: readonly Candidate[], texts: TokenTexts): string {
  const byText = new Map<string, string>();
  for (const { id, logprob } of entries) {
    const text = texts.token(id);
    if (!byText.has(text)) byText.set(text, logprobText(logprob));
  }
  return `{${Array.from(byText, ([text, value]) => `${JSON.stringify(text)}:${value}`).join(',')}}`;
}

/** Tokens that `text` shows, with their index into the values; the first token of a prompt has none. */
function shownTokens({ tokens, values }: CompletionRow, view: CompletionView) {
  const prompt = view.echo
    ? Array.from(tokens, (id, i) => ({ id, at: i === 0 ? undefined : i - 1 }))
    : [];
  const next = view.wantsNext ? [{ id: nextToken(values), at: values.logprobs.length - 1 }] : [];
  return [...prompt, ...next];
}

const nextToken = ({ logprobs, topIds, k }: ScoredRow) => topIds[(logprobs.length - 1) * k] ?? 0;

/** The token itself first, whatever its rank, then the `k` most likely ones: k + 1 at most, no id twice. */
function candidates(values: ScoredRow, at: number, id: number, k: number): Candidate[] {
  const entries = [{ id, logprob: values.logprobs[at] ?? 0, rank: values.ranks[at] ?? 0 }];
  for (let i = 0; i < Math.min(k, values.k); i++) {
    const other = values.topIds[at * values.k + i] ?? 0;
    const logprob = values.topLogprobs[at * values.k + i] ?? 0;
    if (other !== id) entries.push({ id: other, logprob, rank: i + 1 });
  }
  return entries;
}
