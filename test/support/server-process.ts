// A server as its own process, as a pod or the local backend runs it.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { CatalogModel, ServerListening } from '../../server/contract.ts';
import { catalogModel } from './server-kit.ts';

/** A checkpoint of this repository, by its folder. */
export const checkpoint = (name: string, folder: string, values: Partial<CatalogModel> = {}) =>
  catalogModel(name, {
    source: { volume: { root: resolve(folder), path: '.' } },
    maxSequenceTokens: 1024,
    maxBatchTokens: 4096,
    ...values,
  });

export async function startServerProcess(models: CatalogModel[], env: Record<string, string> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'refmodel-process-'));
  await writeFile(join(folder, 'catalog.json'), JSON.stringify({ models }));
  const child = fork('refmodel.ts', ['server'], {
    env: { PATH: process.env['PATH'], ...settings(folder), ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [{ port }] = (await once(child, 'message')) as [ServerListening];
  return {
    child,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      if (isAlive(child.pid ?? 0)) await end(child, 'SIGKILL');
      await rm(folder, { recursive: true });
    },
  };
}

const settings = (folder: string) => ({
  REFMODEL_PORT: '0',
  REFMODEL_HOST: '127.0.0.1',
  REFMODEL_LOG_LEVEL: 'silent',
  REFMODEL_CATALOG: join(folder, 'catalog.json'),
  REFMODEL_CACHE_DIR: join(folder, 'cache'),
  REFMODEL_MEMORY_BYTES: '1000000000',
  REFMODEL_DRAIN_DELAY_MS: '0',
});

/** Ends a child and gives its exit code. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, 'exit');
  child.kill(signal);
  const [code] = (await exited) as [number | null];
  return code;
}

export function isAlive(pid: number): boolean {
  return stateOf(pid) !== undefined;
}

/** Children of a process that are not only waiting to be reaped. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => stateOf(child)?.parent === pid);
}

/** Runners of a server, or of a process that loads models itself. */
export const runnersOf = (pid: number): number[] => childrenOf(pid).filter(isRunner);

function isRunner(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('model/runner');
  } catch {
    return false; // it has just ended
  }
}

function stateOf(pid: number): { parent: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? undefined : { parent: Number(parent) };
  } catch {
    return undefined;
  }
}
