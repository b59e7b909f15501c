// `refmodel score`: log-probs or rewards of a data set, computed once and kept in a file.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { AppError } from '../../common/errors.ts';
import { modulePath } from '../../common/module.ts';
import { type Flags, readFlags, usage } from './flags.ts';
import { refuseExisting } from './journal.ts';
import { progressBar } from './progress.ts';
import { scoreFile } from './run.ts';
import { Service } from './service.ts';

export { usage };

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
  const { size } = await stat(flags.input);
  refuseExisting(flags.output);
  await using address = await openService(flags);
  const { name: model, temperature, addsEos, task } = flags;
  const service = new Service({ url: address.url, model, task, temperature, addsEos, maxTries });
  const settings = {
    inputBytes: size,
    task: await service.task(ending.signal),
    temperature,
    eos: addsEos,
  };
  const onProgress = progressBar((text) => process.stderr.write(text), process.stderr.isTTY);
  const lines = await scoreFile({ ...flags, settings, service, onProgress }, ending.signal);
  process.stderr.write(`\n${lines} lines in ${flags.output}\n`);
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
