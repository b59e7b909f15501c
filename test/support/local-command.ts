// `refmodel local` as a person runs it, and the processes below it. Reads /proc: Linux only.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { eventually } from './gateway-kit.ts';
import { type TemporaryFolder, temporaryFolder } from './temporary-folder.ts';

const root = resolve(import.meta.dirname, '../..');
const models = join(root, 'examples/models');

/** A model of the examples, unquantized, as a manifest. */
export const exampleManifest = (name: string, folder: string, idleTimeout: string) => `
apiVersion: refmodel.dev/v1alpha1
kind: ReferenceModel
metadata: {name: ${name}}
spec:
  model: {persistentVolumeClaim: {claimName: models, path: ${folder}}}
  quantization: None
  scaling: {idleTimeout: ${idleTimeout}}
`;

/** One `refmodel local`, its folders, and the processes below it. */
export class Local {
  readonly child: ChildProcess;
  readonly #folder: TemporaryFolder;
  #printed = '';
  /** What it and its servers wrote to stderr: logs. */
  logged = '';

  private constructor(child: ChildProcess, folder: TemporaryFolder) {
    this.child = child;
    this.#folder = folder;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#printed += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.logged += text;
    });
  }

  /** `env`: more of it than this process has. */
  static async start(text: string, env: Record<string, string> = {}): Promise<Local> {
    const folder = temporaryFolder();
    const file = join(folder.path, 'models.yaml');
    await writeFile(file, text);
    await mkdir(join(folder.path, 'tmp'));
    const flags = [
      '--volume',
      `models=${models}`,
      '--port',
      '0',
      '--cache',
      join(folder.path, 'cache'),
    ];
    const argv = ['--import', 'tsx', join(root, 'refmodel.ts'), 'local', file, ...flags];
    const child = spawn(process.execPath, argv, {
      cwd: root,
      env: { ...process.env, ...env, TMPDIR: join(folder.path, 'tmp') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const local = new Local(child, folder);
    await eventually(() => local.#printed.endsWith('\n\n') || local.#printed.includes("}'\n"));
    return local;
  }

  get url(): string {
    return /http:\/\/[\d.:]+/.exec(this.#printed)?.[0] ?? '';
  }

  /** The lines that a person would paste. */
  get commands(): string[] {
    return this.#printed.match(/curl .*/g) ?? [];
  }

  async score(input: number[][], model = 'default/tiny'): Promise<(number | null)[][]> {
    const response = await fetch(`${this.url}/v1/logprobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, input_ids: input }),
    });
    assert.equal(response.status, 200, await response.clone().text());
    return ((await response.json()) as { logprobs: (number | null)[][] }).logprobs;
  }

  /** Process ids of the servers that run now. */
  servers(): number[] {
    return descendants(this.child.pid ?? 0).filter((pid) => commandOf(pid).endsWith('server'));
  }

  all(): number[] {
    return descendants(this.child.pid ?? 0);
  }

  /** Folders that the command made for itself. */
  leftovers(): string[] {
    return readdirSync(join(this.#folder.path, 'tmp')).filter((name) =>
      name.startsWith('refmodel-'),
    );
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const exited = once(this.child, 'exit') as Promise<[number | null]>;
    this.child.kill(signal);
    return (await exited)[0];
  }

  remove(): void {
    if (this.child.exitCode === null) this.child.kill('SIGKILL');
    this.#folder[Symbol.dispose]();
  }
}

export const isAlive = (pid: number): boolean => {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
};

function descendants(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return children
      .split(' ')
      .filter(Boolean)
      .map(Number)
      .flatMap((child) => [child, ...descendants(child)]);
  } catch {
    return [];
  }
}
