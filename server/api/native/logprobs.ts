// POST /v1/logprobs: what a language model says of the tokens of each row, in the format that the client asks for.
import type { Request, RequestHandler } from 'express';
import { AppError } from '../../../common/errors.ts';
import { clientSignal } from '../../../common/http.ts';
import type { LoadedModel } from '../../model/loaded.ts';
import { sendAnswer } from '../answer/send.ts';
import { describeLoaded, type Sender, senderOf, setIdentity } from '../leased.ts';
import { requestedModel } from '../requested-model.ts';
import { parseBody } from '../schemas.ts';
import { type Scored, score } from '../score.ts';
import { answerColumns } from './answer.ts';
import { type RowAsk, readAsks, wantedOutputs } from './asks.ts';
import { type Divergence, divergenceOf } from './divergence.ts';
import type { NativeLimits, NativeOptions } from './options.ts';
import { type LogprobsRequest, logprobsRequest, type Output } from './request.ts';
import { perPlace, readSequences, type Sequences } from './sequences.ts';

export function postLogprobs(options: NativeOptions): RequestHandler {
  return async function logprobs(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(logprobsRequest, req.body);
    const sequences = readSequences(body);
    const asks = readAsks(body, sequences);
    const wants = wantedOutputs(body);
    checkWidths(asks, options.limits);
    checkValues(asks, { wants, hiddenSize: 1 }, options.limits);
    const scored = await scoreAsks(req, { body, sequences, asks, wants, signal }, options);
    setIdentity(res, scored.loaded);
    const kl = compare(body, { sequences, asks, scored, ...senderOf(req) }, options);
    const rows = asks.map((ask, r) => ({ ...ask, values: valuesOf(scored, r) }));
    const columns = answerColumns(rows, { wants, fill: body.fill });
    const { usage } = scored;
    const rest = {
      ...describeLoaded(scored.loaded),
      align: body.align ?? 'target',
      temperature: body.temperature ?? 1,
      ...(typeof body.request_id === 'string' && { request_id: body.request_id }),
      ...(kl && { kl }),
      usage: {
        prompt_tokens: usage.promptTokens,
        scored_tokens: usage.scoredTokens,
        padded_tokens: sequences.paddedTokens,
      },
    };
    await sendAnswer(req, res, { answer: { ...columns, rest }, threads: options.threads, signal });
  };
}

interface Asked {
  body: LogprobsRequest;
  sequences: Sequences;
  asks: readonly RowAsk[];
  wants: ReadonlySet<Output>;
  signal: AbortSignal;
}

async function scoreAsks(
  req: Request,
  { body, sequences: { rows }, asks, wants, signal }: Asked,
  { lookup, scoring, limits }: NativeOptions,
): Promise<Scored> {
  const model = await requestedModel(lookup, req.headers, body.model ?? undefined, signal);
  const request = {
    model,
    field: 'input_ids',
    rows,
    ...senderOf(req),
    pins: { revision: body.revision, tokenizerDigest: body.tokenizer_digest },
    asked: asks.map(({ asked }) => asked),
    check: ({ session: { hiddenSize } }: LoadedModel) =>
      checkValues(asks, { wants, hiddenSize }, limits),
  };
  return score(scoring, request, signal);
}

function valuesOf({ rows }: Scored, r: number) {
  const row = rows[r];
  if (row) return row.values;
  throw new AppError('INTERNAL', 'scoring: fewer results than rows');
}

/** A column has one width for all rows. */
const widthsOf = (asks: readonly RowAsk[]) => ({
  topK: asks.reduce((most, { asked }) => Math.max(most, asked.topK ?? 0), 0),
  candidates: asks.reduce((most, { asked }) => Math.max(most, asked.candidates?.width ?? 0), 0),
});

function checkWidths(asks: readonly RowAsk[], { maxTopLogprobs }: NativeLimits): void {
  const { topK, candidates } = widthsOf(asks);
  if (topK > maxTopLogprobs) throw tooMany('top_k', maxTopLogprobs);
  if (candidates > maxTopLogprobs) throw tooMany('candidate_ids', maxTopLogprobs);
}

/** Outputs with one value at a position. */
const singles: readonly Output[] = ['logprobs', 'rank', 'entropy', 'logsumexp', 'tail'];

function checkValues(
  asks: readonly RowAsk[],
  { wants, hiddenSize }: { wants: ReadonlySet<Output>; hiddenSize: number },
  { maxAnswerValues }: NativeLimits,
): void {
  const positions = asks.reduce((sum, { places }) => sum + places.length, 0);
  const { topK, candidates } = widthsOf(asks);
  const hidden = wants.has('hidden_states') ? hiddenSize : 0;
  const width = singles.filter((output) => wants.has(output)).length;
  const values = positions * (width + 2 * topK + candidates + hidden);
  if (values <= maxAnswerValues) return;
  const message = `${values} values, the limit is ${maxAnswerValues}`;
  throw new AppError('BODY_TOO_LARGE', `the answer would be too large: ${message}`);
}

const tooMany = (field: string, limit: number): AppError =>
  new AppError('INVALID_REQUEST', `reading ${field}: the limit is ${limit} a position`);

interface Compared extends Pick<Sender, 'requestId'> {
  sequences: Sequences;
  asks: readonly RowAsk[];
  scored: Scored;
}

function compare(
  { policy_logprobs: policies }: LogprobsRequest,
  { sequences, asks, scored, requestId }: Compared,
  { limits, log, onDivergence }: NativeOptions,
): Divergence | undefined {
  if (!policies) return undefined;
  const lengths = asks.map(({ places }) => places.length);
  const cut = perPlace('policy_logprobs', policies, { lengths, isPacked: sequences.isPacked });
  const divergence = divergenceOf(
    asks.map(({ places }, r) => ({
      policy: cut[r] ?? [],
      reference: valuesOf(scored, r).logprobs,
      at: places.at,
    })),
  );
  if (!divergence) return undefined;
  const model = scored.loaded.model.name;
  const isFar = divergence.k3 > limits.warnDivergence;
  if (isFar) log.warn({ model, requestId, ...divergence }, 'the policy is far from its reference');
  onDivergence(model, divergence, isFar);
  return divergence;
}
