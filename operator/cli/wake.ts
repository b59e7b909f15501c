// `refmodel wake`: loads a model before anybody asks for it, and tells how far that is.
import { abortable, linkSignals, withTimeout } from '../../common/abort.ts';
import { systemClock } from '../../common/clock.ts';
import { type Arguments, type CommandSpec, command, usageError } from '../../common/command.ts';
import { AppError } from '../../common/errors.ts';
import { ProgressLine } from '../../common/progress-line.ts';
import type { ConsoleModel } from '../gateway/console/contract.ts';
import { loadBar, phaseText } from '../gateway/console/words.ts';
import { connect, connectionOptions, endSignal, fullName } from './connection.ts';
import type { Source } from './source.ts';

const spec: CommandSpec = {
  name: 'wake',
  takes: 'MODEL [options]',
  about: 'Starts a pod for the model if none runs, loads it, and ends once it is in memory.',
  options: {
    ...connectionOptions,
    timeout: { value: 'SECONDS', help: 'time that it may take (default 1800)' },
    json: { help: 'print the state of the model as JSON once it is warm' },
  },
};
export const { usage, main } = command(spec, run);

const everyMs = 500;
const retryMs = 2000;

async function run(args: Arguments): Promise<void> {
  const [given, ...others] = args.positionals;
  const seconds = Number(args.value('timeout') ?? 1800);
  if (given === undefined || others.length > 0) throw usageError('wake', 'it takes one model');
  if (!(seconds > 0)) throw usageError('wake', `--timeout ${args.value('timeout')} is no time`);
  using source = await connect(args);
  const name = fullName(given, source);
  using limit = withTimeout(endSignal(), seconds * 1000, systemClock);
  const started = systemClock.now();
  using line = new ProgressLine(process.stderr);
  await loadAndFollow(source, name, { line, signal: limit.signal });
  const model = await stateOf(source, name, limit.signal);
  line.end(`${name}: in memory after ${((systemClock.now() - started) / 1000).toFixed(1)} s`);
  if (args.has('json')) process.stdout.write(`${JSON.stringify(model ?? { name }, null, 2)}\n`);
}

async function loadAndFollow(
  source: Source,
  name: string,
  { line, signal }: { line: ProgressLine; signal: AbortSignal },
): Promise<void> {
  using watch = linkSignals(signal);
  const watching = follow(source, name, line, watch.signal).catch(() => {}); // ends with the load
  try {
    await load(source, name, signal);
  } finally {
    watch.abort(new Error('the load has ended'));
    await watching;
  }
}

/** Asks until it is loaded: a gateway that could not wait so long goes on with the wake. */
async function load(source: Source, name: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await source.send({ method: 'PUT', path: `/cache/${name}` }, signal);
      return;
    } catch (err) {
      signal.throwIfAborted();
      if (!isPassing(err)) throw err;
      await systemClock.delay(retryMs, signal);
    }
  }
}

const isPassing = (err: unknown): boolean =>
  err instanceof AppError && err.isRetryable && err.code !== 'MODEL_NOT_ACCEPTED';

/** Never resolves: whoever loads does. What cannot be told is not told. */
async function follow(
  source: Source,
  name: string,
  line: ProgressLine,
  signal: AbortSignal,
): Promise<never> {
  for (;;) {
    const model = await stateOf(source, name, signal);
    if (model) line.show([`${name}: ${phaseText(model)}`, loadBar(model)].join(' ').trim());
    await abortable(systemClock.delay(everyMs, signal), signal);
  }
}

async function stateOf(
  source: Source,
  name: string,
  signal: AbortSignal,
): Promise<ConsoleModel | undefined> {
  const state = await source.state(signal).catch(() => undefined); // the port of the API has no console
  return state?.models.find((model) => model.name === name);
}
