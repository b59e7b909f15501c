// `refmodel lease`: keeps models warm for a run.
import { type Arguments, type CommandSpec, command, usageError } from '../../common/command.ts';
import { connect, connectionOptions, endSignal, fullName, isTime } from './connection.ts';
import type { Call, Source } from './source.ts';

const spec: CommandSpec = {
  name: 'lease',
  takes: 'list | take RUN MODEL... | release RUN  [options]',
  about: `A lease keeps models loaded for a run until it expires: they are loaded before they are asked for, and neither
sleep nor make room for others. Taking it again renews it.`,
  options: {
    ...connectionOptions,
    ttl: { value: 'SECONDS', help: 'until it expires (default 600)' },
    keep: { help: 'renew it until the command is ended, then release it' },
  },
  more: 'Prints the answer of the gateway, which is JSON.',
};
export const { usage, main } = command(spec, run);

async function run(args: Arguments): Promise<void> {
  using source = await connect(args);
  const signal = endSignal();
  const call = callOf(args, source);
  const send = async (wanted: Call, until: AbortSignal) =>
    process.stdout.write(`${JSON.stringify(await source.send(wanted, until), null, 2)}\n`);
  await send(call, signal);
  if (!args.has('keep') || call.method !== 'PUT') return;
  while (await isTime(ttlOf(args) * 400, signal)) await source.send(call, signal);
  await send({ method: 'DELETE', path: call.path }, AbortSignal.timeout(10_000));
}

function ttlOf(args: Arguments): number {
  const seconds = Number(args.value('ttl') ?? 600);
  if (seconds >= 1) return seconds;
  throw usageError('lease', `--ttl ${args.value('ttl')} is no time`);
}

/** What the words mean to a gateway. */
export function callOf(args: Arguments, source: Source): Call {
  const [verb, run, ...models] = args.positionals;
  if (verb === 'list' && run === undefined) return { method: 'GET', path: '/v1/leases' };
  const path = `/v1/leases/${encodeURIComponent(run ?? '')}`;
  if (verb === 'take' && run !== undefined && models.length > 0) {
    const names = models.map((name) => fullName(name, source));
    return { method: 'PUT', path, body: { models: names, ttl_seconds: ttlOf(args) } };
  }
  if (verb === 'release' && run !== undefined && models.length === 0) {
    return { method: 'DELETE', path };
  }
  throw usageError('lease', 'it takes list, take RUN MODEL..., or release RUN');
}
