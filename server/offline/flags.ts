// The flags of `refmodel score`. Pure.
import { parseArgs } from 'node:util';
import { AppError } from '../../common/errors.ts';
import { type Task, tasks } from './run.ts';

export const usage = `usage: refmodel score --model MANIFEST|URL --input FILE --output FILE [options]

Scores every record of a data set, in order, with a language model or a reward model. Files that end with .parquet are
parquet, all others JSON lines. A record has token ids,

  input_ids, and prompt_length for how many of them are context only
  prompt_ids, chosen_ids, rejected_ids

or texts, or lists of messages, which the tokenizer and the chat template of the model read:

  prompt, completion               chosen, rejected, and prompt or what both begin with
  text                             messages; with conversations also tools and chat_template_kwargs

The output has "line", from 0, and "logprobs" and "sum", or "ref_chosen_logps" and "ref_rejected_logps"; of a reward model
"reward", or "chosen_reward" and "rejected_reward". It is written when all is done; a run that was ended goes on from
OUTPUT.part.

  --model MANIFEST|URL  address of a service, or manifests that are served on this machine meanwhile
  --name NAME           "namespace/name", where there are several models
  --volume NAME=DIR     as of refmodel local; may be repeated
  --task TASK           ${tasks.join(' or ')} (default: what the model is for)
  --temperature T       logits are divided by it (default 1)
  --no-eos              texts get no end-of-sequence token (by default they do, as in TRL)
  --batch-tokens N      tokens of a request at most (default 16384)
  --concurrency N       requests at a time (default 4)
  -h, --help            this text
`;

export interface Flags {
  model: string;
  name?: string;
  volumes: string[];
  input: string;
  output: string;
  task?: Task;
  temperature: number;
  addsEos: boolean;
  batchTokens: number;
  concurrency: number;
}

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const options = {
  model: text,
  name: text,
  volume: { type: 'string', multiple: true },
  input: text,
  output: text,
  task: text,
  temperature: { type: 'string', default: '1' },
  'no-eos': flag,
  'batch-tokens': { type: 'string', default: '16384' },
  concurrency: { type: 'string', default: '4' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Undefined: help is asked for. Throws CONFIGURATION_INVALID. */
export function readFlags(argv: string[]): Flags | undefined {
  const values = parse(argv);
  if (values.help) return undefined;
  const { model, input, output, name, task } = values;
  if (!model || !input || !output) throw refuse('--model, --input and --output are needed');
  const known = tasks.find((one) => one === task);
  if (task !== undefined && !known) throw refuse(`--task ${task} is not ${tasks.join(' or ')}`);
  return {
    model,
    input,
    output,
    name,
    task: known,
    volumes: values.volume ?? [],
    addsEos: !values['no-eos'],
    temperature: positive('--temperature', values.temperature),
    batchTokens: positive('--batch-tokens', values['batch-tokens']),
    concurrency: positive('--concurrency', values.concurrency),
  };
}

function parse(argv: string[]) {
  try {
    return parseArgs({ args: argv, options }).values;
  } catch (cause) {
    throw refuse(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw refuse(`${name} "${text}" is not above 0`);
}

const refuse = (problem: string, cause?: unknown) =>
  new AppError('CONFIGURATION_INVALID', `reading flags: ${problem}; see refmodel score --help`, {
    cause,
  });
