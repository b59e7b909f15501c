// `refmodel completion`: what a shell completes, from the help of each command.

import { commands } from '../../commands.ts';
import { type Arguments, type CommandSpec, command, usageError } from '../../common/command.ts';

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

const spec: CommandSpec = {
  name: 'completion',
  takes: 'bash|zsh|fish',
  about: `Prints a script that makes the shell complete commands and options:

  bash  source <(refmodel completion bash)
  zsh   source <(refmodel completion zsh)
  fish  refmodel completion fish | source`,
  options: {},
};
export const { usage, main } = command(spec, run);

async function run(args: Arguments): Promise<void> {
  const shell = shells.find((name) => name === args.positionals[0]);
  if (!shell) throw usageError('completion', 'it takes bash, zsh or fish');
  const words = await Promise.all(
    Object.entries(commands).map(async ([name, { summary, load }]) => ({
      name,
      summary,
      options: optionsIn((await load()).usage),
    })),
  );
  process.stdout.write(scripts[shell](words));
}

export interface Words {
  name: string;
  summary: string;
  options: { name: string; help: string }[];
}

/** The options of a help text: lines such as "  -n, --namespace NAME   of models". */
export function optionsIn(usage: string): Words['options'] {
  const lines = usage.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)(?: [^\s]+)?(?: {2,}|\n +)(.*)$/gm);
  return [...lines].map(([, name = '', help = '']) => ({ name, help }));
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

export const scripts: Record<Shell, (words: readonly Words[]) => string> = {
  bash: (words) => `_refmodel() {
  local word=\${COMP_WORDS[COMP_CWORD]}
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W ${quoted(words.map(({ name }) => name).join(' '))} -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${words
  .map(({ name, options }) => {
    const names = options.map((option) => option.name).join(' ');
    return `    ${name}) COMPREPLY=($(compgen -f -W ${quoted(names)} -- "$word")) ;;`;
  })
  .join('\n')}
  esac
}
complete -o filenames -F _refmodel refmodel
`,
  zsh: (words) => `#compdef refmodel
_refmodel() {
  if (( CURRENT == 2 )); then
    local -a commands=(
${words.map(({ name, summary }) => `      ${quoted(`${name}:${summary}`)}`).join('\n')}
    )
    _describe command commands
    return
  fi
  case $words[2] in
${words
  .map(({ name, options }) => {
    const names = options.map((option) => quoted(option.name)).join(' ');
    return `    ${name}) compadd -- ${names}; _files ;;`;
  })
  .join('\n')}
  esac
}
compdef _refmodel refmodel
`,
  fish: (words) =>
    [
      ...words.map(
        ({ name, summary }) =>
          `complete -c refmodel -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`,
      ),
      ...words.flatMap(({ name, options }) =>
        options.map(
          (option) =>
            `complete -c refmodel -n '__fish_seen_subcommand_from ${name}' -l ${option.name.slice(2)} -d ${quoted(option.help)}`,
        ),
      ),
      '',
    ].join('\n'),
};
