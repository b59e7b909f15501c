// Processes that share a cache folder, and the files that they are asked for.
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { isErrno } from '../../server/model/disk.ts';
import { end, isAlive } from './server-process.ts';

export interface ChildSettings {
  dir: string;
  /** Gets a line with the key each time that one is made. */
  log: string;
  staleMs: number;
  /** How far the clock of the process is off. */
  skewMs: number;
}

export interface Order {
  key: string;
  bytes: number;
  /** It is written in so many parts, with a pause after each. */
  parts: number;
  partMs: number;
}

export interface Obtained {
  file: string;
  isNew: boolean;
}

/** What a key stands for: bytes that no half file and no hole has. */
export const contentOf = (key: string, bytes: number): Buffer =>
  Buffer.alloc(bytes, createHash('sha256').update(key).digest());

export async function isWhole(file: string, key: string, bytes: number): Promise<boolean> {
  try {
    return contentOf(key, bytes).equals(await readFile(file));
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT')) return false;
    throw err;
  }
}

export class StoreChild implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(settings: ChildSettings): Promise<StoreChild> {
    const child = fork('test/support/store-child.ts', [JSON.stringify(settings)], {
      execArgv: ['--import', 'tsx'],
    });
    await once(child, 'message');
    return new StoreChild(child);
  }

  send(order: Order): void {
    this.#child.send(order);
  }

  async obtain(order: Order): Promise<Obtained> {
    const answered = once(this.#child, 'message');
    this.send(order);
    const [answer] = (await answered) as [Obtained | { error: string }];
    if ('error' in answer) assert.fail(answer.error);
    return answer;
  }

  async kill(): Promise<void> {
    await end(this.#child, 'SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (isAlive(this.#child.pid ?? 0)) await this.kill();
  }
}
