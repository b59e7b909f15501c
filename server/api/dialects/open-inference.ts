// The Open Inference Protocol, version 2: `logprobs` of a language model, padded to the longest row, `rewards` of a reward
// model. In JSON, or with binary tensors where the request came with them.
import type { Request, RequestHandler, Response } from 'express';
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { clientSignal } from '../../../common/http.ts';
import { type CatalogModel, headerLengthHeader, readInferencePath } from '../../contract.ts';
import type { LoadedModel } from '../../model/loaded.ts';
import { positionsFrom } from '../../model/scoring.ts';
import { float32Text, logprobText } from '../float32.ts';
import { type Scoring, type Sender, senderOf } from '../leased.ts';
import { requestedModel } from '../requested-model.ts';
import { leastTemperature, parseBody, temperature } from '../schemas.ts';
import { sendJsonText } from '../send-text.ts';
import { checkValues } from './limits.ts';
import { describeTensors, type InferenceInputs, readInputs } from './open-inference-inputs.ts';
import { rewardPrompts } from './rewarded.ts';
import { type DialectOptions, scorePrompts } from './scored.ts';

/** Inputs and parameters by name, as the body is read. */
const inferenceFields = z.record(z.string(), z.unknown());

interface Tensor {
  name: 'logprobs' | 'rewards';
  /** NaN where nothing is known. */
  values: Float32Array<ArrayBuffer>;
  shape: [number, number];
}

export function getInference({ lookup, scoring }: DialectOptions): RequestHandler {
  return async function inferenceModel(req, res) {
    const { name, verb } = pathOf(req);
    if (verb === 'infer') throw new AppError('METHOD_NOT_ALLOWED', 'GET is not allowed, use POST');
    const signal = clientSignal(res);
    const model = await requestedModel(lookup, req.headers, name, signal);
    if (verb === 'ready') {
      res.json({ name: model.name, ready: true });
      return;
    }
    using lease = await scoring.cache.acquire(model, signal, senderOf(req).requestId);
    res.json(describeTensors(lease.value));
  };
}

export function postInfer(options: DialectOptions): RequestHandler {
  return async function infer(req, res) {
    const { name, verb } = pathOf(req);
    if (verb !== 'infer') throw new AppError('METHOD_NOT_ALLOWED', 'POST is not allowed, use GET');
    const signal = clientSignal(res);
    const fields = parseBody(inferenceFields, req.body);
    const inputs = readInputs(fields);
    const asked = { name, inputs, temperature: readTemperature(fields['temperature']) };
    const { loaded, tensor } = await compute(options, { req, res }, asked, signal);
    const head = headOf(loaded, fields['request_id']);
    if (req.get(headerLengthHeader) === undefined)
      await sendJsonText(res, jsonText(head, tensor), signal);
    else sendBinary(res, head, tensor);
  };
}

function pathOf(req: Request) {
  const path = readInferencePath(req.path);
  if (path) return path;
  throw new AppError('ROUTE_NOT_FOUND', `no route ${req.method} ${req.path}`);
}

function readTemperature(value: unknown): number | undefined {
  const parsed = temperature.optional().safeParse(value);
  if (parsed.success) return parsed.data;
  const expected = `expected a number of at least ${leastTemperature}`;
  throw new AppError('INVALID_REQUEST', `reading parameters.temperature: ${expected}`);
}

/** What the model does decides what is computed; it is loaded to find out. */
async function compute(
  options: DialectOptions,
  exchange: { req: Request; res: Response },
  asked: { name: string; inputs: InferenceInputs; temperature: number | undefined },
  signal: AbortSignal,
): Promise<{ loaded: LoadedModel; tensor: Tensor }> {
  const { lookup, scoring } = options;
  const { name, inputs, temperature } = asked;
  const model = await requestedModel(lookup, exchange.req.headers, name, signal);
  const task = await taskOf(scoring.cache, { model, ...senderOf(exchange.req) }, signal);
  const request = { model: model.name, field: 'inputs', prompts: inputs.prompts };
  if (task === 'Reward') {
    const { loaded, rewards } = await rewardPrompts(options, exchange, request, signal);
    const width = loaded.session.labels.length;
    const values = new Float32Array(rewards.length * width);
    for (const [r, scores] of rewards.entries()) values.set(scores, r * width);
    return { loaded, tensor: { name: 'rewards', values, shape: [rewards.length, width] } };
  }
  const ask = (length: number) => ({
    positions: positionsFrom(1, length),
    ...(temperature !== undefined && { temperature }),
  });
  const { loaded, rows } = await scorePrompts(options, exchange, { ...request, ask }, signal);
  const scores = rows.map(({ values }) => values.logprobs);
  return { loaded, tensor: padded(scores, inputs.places, options.limits) };
}

async function taskOf(
  cache: Scoring['cache'],
  { model, requestId }: { model: CatalogModel } & Partial<Sender>,
  signal: AbortSignal,
) {
  using lease = await cache.acquire(model, signal, requestId);
  return lease.value.session.identity.task;
}

/** Throws BODY_TOO_LARGE before it makes room. */
function padded(
  scores: readonly Float32Array[],
  places: InferenceInputs['places'],
  limits: DialectOptions['limits'],
): Tensor {
  const lengths = places.map(({ length }, r) => Math.max(length, (scores[r]?.length ?? 0) + 1));
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  checkValues(scores.length * longest, 0, limits);
  const values = new Float32Array(scores.length * longest).fill(Number.NaN);
  for (const [r, row] of scores.entries()) {
    values.set(row, r * longest + (places[r]?.start ?? 0) + 1);
  }
  return { name: 'logprobs', values, shape: [scores.length, longest] };
}

const headOf = ({ model, session }: LoadedModel, id: unknown) => ({
  model_name: model.name,
  model_version: session.identity.revision,
  ...(typeof id === 'string' && { id }),
});

function* jsonText(head: object, { name, values, shape }: Tensor): Generator<string> {
  yield `${JSON.stringify(head).slice(0, -1)},"outputs":[{"name":"${name}","datatype":"FP32"`;
  yield `,"shape":${JSON.stringify(shape)},"data":[`;
  const print = name === 'logprobs' ? logprobText : float32Text;
  for (const [i, value] of values.entries()) {
    yield `${i === 0 ? '' : ','}${Number.isNaN(value) ? 'null' : print(value)}`;
  }
  yield ']}]}';
}

function sendBinary(res: Response, head: object, { name, values, shape }: Tensor): void {
  const parameters = { binary_data_size: values.byteLength };
  const outputs = [{ name, datatype: 'FP32', shape, parameters }];
  const header = Buffer.from(JSON.stringify({ ...head, outputs }));
  res.setHeader(headerLengthHeader, String(header.byteLength));
  res.type('application/octet-stream').send(Buffer.concat([header, Buffer.from(values.buffer)]));
}
