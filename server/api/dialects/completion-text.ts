// The body of a completion, in vLLM's and OpenAI's shape.
import { logprobText } from '../float32.ts';
import {
  type Candidate,
  type CandidateRow,
  candidates,
  nextToken,
  promptLogprobsText,
} from './candidates.ts';

export interface CompletionRow extends CandidateRow {
  /** What `text` of the answer shows. */
  text: string;
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

type TextOf = (id: number) => string;

export function* completionText(
  head: CompletionHead,
  rows: readonly CompletionRow[],
  view: CompletionView,
  textOf: TextOf,
): Generator<string> {
  const { id, created, model, usage } = head;
  const start = JSON.stringify({ id, object: 'text_completion', created, model });
  yield `${start.slice(0, -1)},"choices":[`;
  for (const [index, row] of rows.entries()) {
    yield index === 0 ? '' : ',';
    yield* choiceText(index, row, view, textOf);
  }
  yield `],"usage":${JSON.stringify(usage)}}`;
}

function* choiceText(
  index: number,
  row: CompletionRow,
  view: CompletionView,
  textOf: TextOf,
): Generator<string> {
  yield `{"index":${index},"text":${JSON.stringify(row.text)},"logprobs":`;
  if (view.logprobs === undefined) yield 'null';
  else yield* logprobsText(row, view, view.logprobs, textOf);
  yield ',"finish_reason":"length","stop_reason":null,"prompt_logprobs":';
  if (view.promptLogprobs === undefined) yield 'null';
  else yield* promptLogprobsText(row, view.promptLogprobs, textOf);
  yield '}';
}

/** OpenAI's four parallel lists, over what `text` shows. */
function* logprobsText(
  row: CompletionRow,
  view: CompletionView,
  k: number,
  textOf: TextOf,
): Generator<string> {
  const shown = shownTokens(row, view).map(({ id, at }) => ({ id, at, text: textOf(id) }));
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
    yield `${i === 0 ? '' : ','}${at === undefined ? 'null' : topText(candidates(row.values, at, id, k), textOf)}`;
  }
  yield ']}';
}

/** Several ids may have one text: the first, the more telling one, keeps it. */
function topText(entries: readonly Candidate[], textOf: TextOf): string {
  const byText = new Map<string, string>();
  for (const { id, logprob } of entries) {
    const text = textOf(id);
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
