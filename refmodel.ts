#!/usr/bin/env node
// The binary: one name, one subcommand per process. Knows which module runs each, and nothing else.
import { errorBody, toAppError } from './common/errors.ts';

type Main = (env: NodeJS.ProcessEnv, argv: string[]) => Promise<void>;

const commands: Record<string, { summary: string; load: () => Promise<{ main: Main }> }> = {
  local: {
    summary: 'serve ReferenceModel manifests on this machine, without a cluster',
    load: () => import('./operator/gateway/local.ts'),
  },
  server: {
    summary: 'the inference server of a pod',
    load: () => import('./server/main.ts'),
  },
  gateway: {
    summary: 'route, hold and wake: the gateway of a cluster',
    load: () => import('./operator/gateway/main.ts'),
  },
  score: {
    summary: 'compute the log-probs of a data set',
    load: () => import('./server/offline/main.ts'),
  },
  operator: {
    summary: 'reconcile ReferenceModels into pods',
    load: () => import('./operator/controller/main.ts'),
  },
};

function usage(): string {
  const lines = Object.entries(commands).map(
    ([name, { summary }]) => `  ${name.padEnd(10)}${summary}`,
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
    process.exitCode = 2;
    return;
  }
  try {
    await (await command.load()).main(process.env, argv);
  } catch (err) {
    const { error } = errorBody(toAppError(err));
    process.stderr.write(`refmodel ${name}: ${error.code}: ${toAppError(err).message}\n`);
    process.exitCode = 1;
  }
}

await main();
