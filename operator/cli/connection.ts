// The options that every command shares which asks a gateway or a cluster, and the source that they name.
import { readFile } from 'node:fs/promises';
import { systemClock } from '../../common/clock.ts';
import type { Arguments, OptionSpec } from '../../common/command.ts';
import { AppError } from '../../common/errors.ts';
import { openSource, type Source, withoutToken } from './source.ts';

export const connectionOptions = {
  url: {
    value: 'URL',
    help: 'address of a gateway or of refmodel local; default: the cluster of the kubeconfig',
  },
  namespace: { value: 'NAME', short: 'n', help: 'of models that are named without one' },
  context: { value: 'NAME', help: 'of the kubeconfig' },
  'token-file': {
    value: 'FILE',
    help: 'with the bearer token of a ServiceAccount, for models that are Authenticated; with --url',
  },
  'system-namespace': { value: 'NAME', help: 'where the gateways run (default refmodel-system)' },
} as const satisfies Record<string, OptionSpec>;

export const jsonOption: OptionSpec = { help: 'print JSON' };

export async function connect(args: Arguments): Promise<Source> {
  const url = args.value('url');
  const file = args.value('token-file');
  if (file !== undefined && url === undefined) {
    throw new AppError('USAGE', `--token-file wants --url: ${withoutToken}`);
  }
  return openSource({
    url,
    token: file === undefined ? undefined : (await readFile(file, 'utf8')).trim(),
    namespace: args.value('namespace'),
    context: args.value('context'),
    system: args.value('system-namespace') ?? 'refmodel-system',
    clock: systemClock,
  });
}

/** "<namespace>/<name>" */
export const fullName = (name: string, { namespace }: Source): string =>
  name.includes('/') ? name : `${namespace}/${name}`;

/** Fires when the process is told to end. */
export function endSignal(): AbortSignal {
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => ending.abort(new AppError('SHUTTING_DOWN', `ended by ${signal}`)));
  }
  return ending.signal;
}

/** Waits. False when the signal fires before the time is over. */
export const isTime = (ms: number, signal: AbortSignal): Promise<boolean> =>
  systemClock.delay(ms, signal).then(
    () => true,
    () => false,
  );
