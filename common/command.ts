// A command of the command line, described once: its help, how its arguments are read, and what a shell completes come
// from the same description.
import { parseArgs } from 'node:util';
import { AppError } from './errors.ts';

export interface OptionSpec {
  /** What stands for the value in the help; without it the option takes none. */
  value?: string;
  short?: string;
  /** May be repeated. */
  multiple?: boolean;
  help: string;
}

export interface CommandSpec {
  name: string;
  /** What follows the name: "MODEL... [options]". */
  takes: string;
  /** Paragraphs above and below the options. */
  about: string;
  options: Readonly<Record<string, OptionSpec>>;
  more?: string;
}

/** One subcommand of the binary. */
export interface Command {
  usage: string;
  main: (env: NodeJS.ProcessEnv, argv: string[]) => Promise<void>;
}

export interface Arguments {
  positionals: string[];
  /** The last value of an option. */
  value(name: string): string | undefined;
  values(name: string): string[];
  has(name: string): boolean;
}

/** Runs with the arguments that stand in the description, or prints its help when that is asked for. */
export function command(
  spec: CommandSpec,
  run: (args: Arguments, env: NodeJS.ProcessEnv) => Promise<void>,
): Command {
  const usage = helpText(spec);
  return {
    usage,
    async main(env, argv) {
      const args = readArguments(spec, argv);
      if (args) await run(args, env);
      else process.stdout.write(usage);
    },
  };
}

const help: OptionSpec = { short: 'h', help: 'this text' };
/** Of the description of an option. */
const column = 24;

export function helpText({ name, takes, about, options, more }: CommandSpec): string {
  const lines = Object.entries({ ...options, help }).map(([option, spec]) => {
    const { short, value, help: text } = spec;
    const head = `  ${short ? `-${short}, ` : ''}--${option}${value ? ` ${value}` : ''}`;
    return head.length < column - 1
      ? head.padEnd(column) + text
      : `${head}\n${' '.repeat(column)}${text}`;
  });
  const parts = [`usage: refmodel ${name} ${takes}`, about.trim(), lines.join('\n')];
  return `${[...parts, ...(more ? [more.trim()] : [])].join('\n\n')}\n`;
}

/** Undefined when help is asked for. Throws USAGE for an option that there is not, or one without its value. */
export function readArguments(spec: CommandSpec, argv: string[]): Arguments | undefined {
  const options = Object.fromEntries(
    Object.entries({ ...spec.options, help }).map(([name, { value, short }]) => [
      name,
      value
        ? { type: 'string' as const, multiple: true, ...(short && { short }) }
        : { type: 'boolean' as const, ...(short && { short }) },
    ]),
  );
  const { values, positionals } = parse(spec, { args: argv, allowPositionals: true, options });
  if (values['help']) return undefined;
  const all = (name: string) => {
    const value = values[name];
    return Array.isArray(value) ? value.map(String) : [];
  };
  return {
    positionals,
    value: (name) => all(name).at(-1),
    values: all,
    has: (name) => values[name] !== undefined,
  };
}

type Config = NonNullable<Parameters<typeof parseArgs>[0]>;

function parse({ name }: CommandSpec, config: Config) {
  try {
    return parseArgs(config);
  } catch (cause) {
    throw usageError(name, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** The command was given wrong: the process ends with 2. */
export const usageError = (name: string, what: string, cause?: unknown): AppError =>
  new AppError('USAGE', `${what}; see refmodel ${name} --help`, { cause });
