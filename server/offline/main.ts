// `refmodel score`: log-probs of a data set, computed once and kept in a file.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { AppError } from '../../common/errors.ts';
import { modulePath } from '../../common/module.ts';
import { progressText } from './progress.ts';
import { type Progress, scoreFile } from './run.ts';
import { scoreItems } from './service.ts';

const usage = `usage: refmodel score --model MANIFEST|URL --input data.jsonl --output out.jsonl [options]

Scores every line of a data set, in order. A line is {"input_ids": […], "prompt_length": n} or
{"prompt_ids": […], "chosen_ids": […], "rejected_ids": […]}; the output has "logprobs" and "sum", or
"ref_chosen_logps" and "ref_rejected_logps". A run that was ended goes on where its output ends.

  --model MANIFEST|URL  address of a service, or manifests that are served on this machine meanwhile
  --name NAME           "namespace/name", where there are several models
  --volume NAME=DIR     as of refmodel local; may be repeated
  --temperature T       logits are divided by it (default 1)
  --batch-tokens N      tokens of a request at most (default 16384)
  --concurrency N       requests at a time (default 4)
  -h, --help            this text
`;

const maxTries = 60;

export async function main(_env: NodeJS.ProcessEnv, argv: string[]): Promise<void> {
  const flags = readFlags(argv);
  if (!flags) {
    process.stdout.write(usage);
    return;
  }
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => ending.abort(new AppError('SHUTTING_DOWN', `ended by ${signal}`)));
  }
  await using service = await openService(flags);
  const { size } = await stat(flags.input);
  const show = (progress: Progress) =>
    process.stderr.write(progressText(progress, size, process.stderr.isTTY));
  const { name: model, temperature } = flags;
  const options = { url: service.url, model, temperature, maxTries };
  const done = await scoreFile(
    { ...flags, score: (items, signal) => scoreItems(items, options, signal), onProgress: show },
    ending.signal,
  );
  process.stderr.write(`\n${done.lines} lines in ${flags.output}\n`);
}

interface Flags {
  model: string;
  name?: string;
  volumes: string[];
  input: string;
  output: string;
  temperature: number;
  batchTokens: number;
  concurrency: number;
}

/** Undefined: help is asked for. Throws CONFIGURATION_INVALID. */
function readFlags(argv: string[]): Flags | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: argv,
    options: {
      model: text,
      name: text,
      volume: { type: 'string', multiple: true },
      input: text,
      output: text,
      temperature: { type: 'string', default: '1' },
      'batch-tokens': { type: 'string', default: '16384' },
      concurrency: { type: 'string', default: '4' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return undefined;
  const { model, input, output, name } = values;
  if (!model || !input || !output) {
    throw new AppError(
      'CONFIGURATION_INVALID',
      'reading flags: --model, --input and --output are needed',
    );
  }
  return {
    model,
    input,
    output,
    name,
    volumes: values.volume ?? [],
    temperature: positive('--temperature', values.temperature),
    batchTokens: positive('--batch-tokens', values['batch-tokens']),
    concurrency: positive('--concurrency', values.concurrency),
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new AppError('CONFIGURATION_INVALID', `reading ${name}: "${text}" is not above 0`);
}

/** The service at an address, or one of our own for as long as it is needed. */
async function openService({ model, volumes }: Flags): Promise<AsyncDisposable & { url: string }> {
  if (/^https?:\/\//.test(model)) return { url: model, [Symbol.asyncDispose]: async () => {} };
  const file = modulePath(import.meta.url, '../../refmodel');
  const args = [
    'local',
    model,
    '--port',
    '0',
    ...volumes.flatMap((volume) => ['--volume', volume]),
  ];
  const child = fork(file, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  let greeting = '';
  for await (const chunk of child.stdout ?? []) {
    greeting += String(chunk);
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(greeting) ?? [];
    if (url === undefined) continue;
    return {
      url,
      async [Symbol.asyncDispose]() {
        child.kill('SIGTERM');
        await exited;
      },
    };
  }
  throw new AppError('LOAD_FAILED', `serving ${model}: it ended before it listened`);
}
