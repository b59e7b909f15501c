// vLLM's routes of models that judge: /classify, /pooling and /v1/embeddings. Of prompts in `input`, or of one conversation
// in `messages`. As in vLLM, /classify answers probabilities unless told otherwise; the others what leaves the model.
import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { clientSignal } from '../../../common/http.ts';
import { float32Text } from '../float32.ts';
import { type Prompt, readPrompts } from '../prompts.ts';
import type { Rewarded } from '../rewards.ts';
import { parseBody } from '../schemas.ts';
import { sendJsonText } from '../send-text.ts';
import { chatFields, chatPrompt } from './chat.ts';
import { list } from './fields.ts';
import { rewardPrompts } from './rewarded.ts';
import type { DialectOptions } from './scored.ts';

const common = {
  model: z.string().nullish(),
  /** Its three names, the newest first. */
  use_activation: z.boolean().nullish(),
  activation: z.boolean().nullish(),
  softmax: z.boolean().nullish(),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  add_special_tokens: z.boolean().nullish(),
  truncate_prompt_tokens: z.null('nothing is cut off: send what the model is to see').optional(),
};
export const poolingRequest = z.object({
  ...common,
  input: z.string().or(list),
});
export const poolingChatRequest = z.object({ ...common, ...chatFields });
type Options = z.output<z.ZodObject<typeof common>>;

/** One entry of `data`: its values as text. */
type Entry = (values: Float32Array, labels: readonly string[], options: Options) => string;

export function postClassify(options: DialectOptions): RequestHandler {
  return pool(options, 'classify', { activates: true }, (values, labels) => {
    const label = JSON.stringify(labels[values.indexOf(Math.max(...values))] ?? null);
    const probs = Array.from(values, float32Text);
    return `"label":${label},"probs":[${probs.join()}],"num_classes":${values.length}`;
  });
}

export function postPooling(options: DialectOptions): RequestHandler {
  return pool(options, 'pool', { activates: false }, (values, _, { encoding_format: format }) => {
    return `"object":"pooling","data":${encode(values, format)}`;
  });
}

export function postEmbeddings(options: DialectOptions): RequestHandler {
  return pool(options, 'embd', { activates: false }, (values, _, { encoding_format: format }) => {
    return `"object":"embedding","embedding":${encode(values, format)}`;
  });
}

function pool(
  options: DialectOptions,
  kind: string,
  { activates }: { activates: boolean },
  entry: Entry,
): RequestHandler {
  return async function pooled(req, res) {
    const signal = clientSignal(res);
    const { prompts, asked } = readRequest(req.body);
    const request = { model: asked.model, field: 'input', prompts };
    const rewarded = await rewardPrompts(options, { req, res }, request, signal);
    const isActive = asked.use_activation ?? asked.activation ?? asked.softmax ?? activates;
    const head = { id: `${kind}-${randomUUID()}`, created: Math.floor(options.clock.now() / 1000) };
    const parts = answer(rewarded, head, (values, labels) =>
      entry(isActive ? activate(values) : values, labels, asked),
    );
    await sendJsonText(res, parts, signal);
  };
}

function readRequest(body: unknown): { prompts: readonly Prompt[]; asked: Options } {
  if (typeof body === 'object' && body !== null && 'messages' in body) {
    const asked = parseBody(poolingChatRequest, body);
    return { prompts: [chatPrompt(asked, { generates: false })], asked };
  }
  const asked = parseBody(poolingRequest, body);
  return { ...readPrompts('input', asked.input, asked.add_special_tokens ?? true), asked };
}

function* answer(
  { loaded, rewards, promptTokens }: Rewarded,
  { id, created }: { id: string; created: number },
  entry: (values: Float32Array, labels: readonly string[]) => string,
): Generator<string> {
  const head = JSON.stringify({ id, object: 'list', created, model: loaded.model.name });
  yield `${head.slice(0, -1)},"data":[`;
  for (const [index, values] of rewards.entries()) {
    yield `${index === 0 ? '' : ','}{"index":${index},${entry(values, loaded.session.labels)}}`;
  }
  const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens, completion_tokens: 0 };
  yield `],"usage":${JSON.stringify(usage)}}`;
}

/** Little-endian float32, as the SDKs of OpenAI decode it. */
function encode(values: Float32Array, format: Options['encoding_format']): string {
  if (format !== 'base64') return `[${Array.from(values, float32Text).join()}]`;
  return JSON.stringify(
    Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64'),
  );
}

/** As vLLM: a sigmoid of one score, a softmax of several. */
export function activate(values: Float32Array): Float32Array {
  if (values.length === 1) return values.map((value) => 1 / (1 + Math.exp(-value)));
  const most = Math.max(...values);
  const powers = Array.from(values, (value) => Math.exp(value - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return Float32Array.from(powers, (power) => power / sum);
}
