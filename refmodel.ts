#!/usr/bin/env node
// The binary: one name, one subcommand per process; also the kubectl plugin `kubectl refmodel`. Reads the name of the
// command, and turns what it throws into a message and an exit code.
import { commands } from './commands.ts';
import { AppError, errorBody, toAppError } from './common/errors.ts';

/** Failed; given wrong. */
const exitCodes = { failure: 1, usage: 2 };

function usage(): string {
  const lines = Object.entries(commands).map(
    ([name, { summary }]) => `  ${name.padEnd(12)}${summary}`,
  );
  return `usage: refmodel <command> [options]\n\n${lines.join('\n')}\n\nrefmodel <command> --help says more.\n`;
}

async function main(): Promise<void> {
  const [name, ...argv] = process.argv.slice(2);
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(usage());
    return;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    process.stderr.write(`refmodel: no command "${name}"\n\n${usage()}`);
    process.exitCode = exitCodes.usage;
    return;
  }
  try {
    await (await command.load()).main(process.env, argv);
  } catch (err) {
    const error = toAppError(err);
    process.stderr.write(`refmodel ${name}: ${errorBody(error).error.code}: ${error.message}\n`);
    process.exitCode = isUsage(error) ? exitCodes.usage : exitCodes.failure;
  }
}

const isUsage = (err: unknown): boolean => err instanceof AppError && err.code === 'USAGE';

await main();
