// `refmodel status`: what the console shows, in the terminal.
import { systemClock } from '../../common/clock.ts';
import { type Arguments, type CommandSpec, command } from '../../common/command.ts';
import { AppError } from '../../common/errors.ts';
import type { ConsoleState } from '../gateway/console/contract.ts';
import {
  connect,
  connectionOptions,
  endSignal,
  fullName,
  isTime,
  jsonOption,
} from './connection.ts';
import { stateText } from './render.ts';

const spec: CommandSpec = {
  name: 'status',
  takes: '[MODEL...] [options]',
  about: 'Shows what is warm and where, who waits and why, memory, and each error with its remedy.',
  options: {
    ...connectionOptions,
    watch: { short: 'w', help: 'again at every change, until it is ended' },
    'exit-code': { help: 'end with 3 when a model shown is Refused or Failed' },
    json: jsonOption,
  },
  more: `MODEL is a name, or namespace/name. Over a cluster it asks a gateway by the proxy of the API server; where that is
not allowed, it shows what the objects say, without waiting requests and memory.`,
};
export const { usage, main } = command(spec, run);

const everyMs = 1000;

async function run(args: Arguments): Promise<void> {
  using source = await connect(args);
  const signal = endSignal();
  const names = args.positionals.map((name) => fullName(name, source));
  const show = args.has('json')
    ? (state: ConsoleState) => `${JSON.stringify(state, null, args.has('watch') ? 0 : 2)}\n`
    : (state: ConsoleState) => stateText(state, systemClock.now());
  for (let shown = ''; ; ) {
    const state = only(await source.state(signal), names);
    const text = JSON.stringify(state);
    if (text !== shown) process.stdout.write(show(state));
    shown = text;
    if (args.has('exit-code') && state.models.some(isBroken)) process.exitCode = 3;
    if (!args.has('watch') || !(await isTime(everyMs, signal))) return;
  }
}

const isBroken = ({ standing }: ConsoleState['models'][number]): boolean =>
  standing === 'Refused' || standing === 'Failed';

/** The models of these names, and the pods that hold them; without names, all. */
export function only(state: ConsoleState, names: readonly string[]): ConsoleState {
  if (names.length === 0) return state;
  const unknown = names.find((name) => !state.models.some((model) => model.name === name));
  if (unknown !== undefined) {
    throw new AppError('MODEL_NOT_FOUND', `finding the model: there is no "${unknown}"`);
  }
  const isNamed = (name: string) => names.includes(name);
  return {
    ...state,
    models: state.models.filter(({ name }) => isNamed(name)),
    pods: state.pods.filter(({ models }) => models.some(({ name }) => isNamed(name))),
    runs: state.runs.filter(({ models }) => models.some(isNamed)),
  };
}
