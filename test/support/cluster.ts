// A cluster through its own tools: kubectl and helm as a person would type them. Knows nothing of any test's story.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface KubeObject {
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid: string;
    creationTimestamp: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
  };
  spec: Record<string, unknown>;
  status?: Record<string, unknown>;
}

/** Runs a program; its output, or an error that carries what it printed. `input` goes to its stdin. */
export async function command(program: string, args: string[], input?: string): Promise<string> {
  const promise = run(program, args, { maxBuffer: 64 << 20, timeout: 180_000 });
  promise.child.stdin?.end(input);
  return (await promise).stdout;
}

export const kubectl = (args: string[], input?: string) => command('kubectl', args, input);

/** `kubectl apply` of objects; each is JSON, which is YAML too. */
export const apply = (...objects: object[]) =>
  kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));

/** Namespace "*": all. */
export async function get(kind: string, namespace: string, selector = ''): Promise<KubeObject[]> {
  const place = namespace === '*' ? ['-A'] : ['-n', namespace];
  const args = ['get', kind, ...place, '-o', 'json', ...(selector ? ['-l', selector] : [])];
  return (JSON.parse(await kubectl(args)) as { items: KubeObject[] }).items;
}

export async function getOne(kind: string, namespace: string, name: string): Promise<KubeObject> {
  return JSON.parse(
    await kubectl(['get', kind, name, '-n', namespace, '-o', 'json']),
  ) as KubeObject;
}

/** Ends every process of a pod at once, as a fault would; only where the node's processes are visible from here. */
export async function killHard({ metadata: { uid } }: KubeObject): Promise<number> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  let killed = 0;
  for (const pid of pids) {
    const cgroup = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => ''); // it has ended
    if (!cgroup.includes(`pod${uid}`)) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (!command.includes('refmodel')) continue; // the pause container keeps the pod's address
    process.kill(Number(pid), 'SIGKILL');
    killed += 1;
  }
  return killed;
}

export interface Change {
  /** Milliseconds since the epoch at which the change reached this machine. */
  at: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: KubeObject;
}

/** Follows objects of one kind with `kubectl get --watch`; `changes` grows as they arrive. */
export class Follower implements Disposable {
  readonly changes: Change[] = [];
  readonly #child: ChildProcess;

  constructor(kind: string, namespace: string) {
    const args = ['get', kind, '-n', namespace, '--watch', '--output-watch-events', '-o', 'json'];
    this.#child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    if (!this.#child.stdout) throw new Error('kubectl has no output');
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.changes.push({ at: Date.now(), ...(JSON.parse(line) as Omit<Change, 'at'>) });
    });
  }

  /** The first change at or after `since` that `test` accepts. */
  find(since: number, test: (change: Change) => boolean): Change | undefined {
    return this.changes.find((change) => change.at >= since && test(change));
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}

/** Of the models and of what asks them. */
export const namespace = process.env['REFMODEL_E2E_NAMESPACE'] ?? 'rl';

/** The shipped model, unless `spec` says another. */
export const referenceModel = (name: string, spec: object = {}) => ({
  apiVersion: 'refmodel.dev/v1alpha1',
  kind: 'ReferenceModel',
  metadata: { name, namespace },
  spec: {
    model: { persistentVolumeClaim: { claimName: 'models', path: 'tiny-python-llama' } },
    quantization: 'None',
    ...spec,
  },
});
