// A cache folder that several machines share: each with a clock of its own, which stops when the machine dies. Files are
// real, time is not.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, type Stats, statSync } from 'node:fs';
import { type FileHandle, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../../common/clock.ts';
import { isGone, type Pulse, touch } from '../../server/model/store/pulse.ts';
import type { Volume } from '../../server/model/store/room.ts';
import { type FileRequest, Store, type StoreOptions } from '../../server/model/store/store.ts';
import { FakeClock } from './clock.ts';
import { temporaryFolder } from './temporary-folder.ts';

export const staleMs = 15_000;
export const neverAborted = new AbortController().signal;
export const noSpace = () => Object.assign(new Error('no space'), { code: 'ENOSPC' });
/** Hours that clocks of machines are apart do not matter. */
const hour = 3_600_000;

/** Signs of life by a clock that a test moves, or that is off. */
export function beatBy(clock: Clock, staleMs: number): Pulse['beat'] {
  return async (file, signal) => {
    const pause = () =>
      clock.delay(staleMs / 5, signal).then(
        () => true,
        () => false,
      );
    try {
      while (await pause()) await touch(file, clock);
    } catch (err: unknown) {
      if (!isGone(err)) throw err;
    }
  };
}

export class Machine {
  readonly clock: FakeClock;
  readonly pulse: Pulse;
  readonly store: Store;
  /** Of all that the machine does; fires at the end of the test. */
  readonly gone = new AbortController();

  constructor(options: Omit<StoreOptions, 'clock'>, skewMs: number) {
    this.clock = new FakeClock(Date.UTC(2026, 0, 1) + skewMs);
    this.pulse = { clock: this.clock, staleMs, beat: beatBy(this.clock, staleMs) };
    this.store = new Store({ ...options, ...this.pulse });
  }
}

export interface VolumeOptions {
  budgetBytes?: number;
  volume?: () => Promise<Volume>;
}

export class SharedVolume implements AsyncDisposable {
  readonly #folder = temporaryFolder();
  readonly #options: VolumeOptions;
  readonly #machines = new Set<Machine>();
  readonly #dead = new Set<Machine>();
  readonly #begun: Promise<unknown>[] = [];

  constructor(options: VolumeOptions = {}) {
    this.#options = options;
  }

  get dir(): string {
    return this.#folder.path;
  }

  machine(skewHours = 0): Machine {
    const machine = new Machine({ dir: this.dir, ...this.#options }, skewHours * hour);
    this.#machines.add(machine);
    return machine;
  }

  /** From now on nothing more happens on the machine, as after a kill. */
  kill(machine: Machine): void {
    this.#machines.delete(machine);
    this.#dead.add(machine);
  }

  /** Something that need not end before the test does. */
  begin(work: Promise<unknown>): void {
    this.#begun.push(work);
    work.catch(() => {});
  }

  /** Moves the time of all machines on until `work` is done, slowly enough for files to keep up with it. */
  async drive<T>(work: Promise<T>): Promise<T> {
    const done = work.then(
      () => true,
      () => true,
    );
    const step = () => this.step(staleMs / 300).then(() => false);
    for (let i = 0; !(await Promise.race([done, step()])); i++) {
      assert.ok(i < 20_000, 'the work does not end');
    }
    return work;
  }

  async step(ms: number): Promise<void> {
    for (const { clock } of this.#machines) await clock.step(ms);
    for (let i = 0; i < 3; i++) await stat(this.dir);
  }

  /** Time in which every sign of life is seen that there is. */
  async pass(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += staleMs / 300) await this.step(staleMs / 300);
  }

  file(...names: string[]): string {
    return path.join(this.dir, ...names);
  }

  list(...names: string[]): string[] {
    const folder = this.file(...names);
    return existsSync(folder) ? readdirSync(folder).sort() : [];
  }

  stat(...names: string[]): Stats {
    return statSync(this.file(...names));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#machines, ...this.#dead];
    for (const machine of all) {
      this.#machines.add(machine);
      machine.gone.abort(new Error('the test is over'));
    }
    await this.drive(Promise.allSettled(this.#begun));
    this.#folder[Symbol.dispose]();
  }
}

/** A file full of the first letter of its key, and how often it was made. */
export function letters(key: string, bytes: number) {
  const content = key.slice(0, 1).repeat(bytes);
  const made = { times: 0 };
  const request: FileRequest = {
    bytes,
    isWhole: async (file) => existsSync(file) && statSync(file).size === bytes,
    make: async (file) => {
      made.times += 1;
      await file.write(content, 0);
    },
  };
  return { content, made, request };
}

/** Makes and lets go of a file, so that it is there for eviction. */
export const put = (volume: SharedVolume, machine: Machine, key: string, bytes: number) =>
  volume.drive(machine.store.obtain(key, letters(key, bytes).request, neverAborted));

/** Begins to make a file and comes to no end. */
export async function putHalf(volume: SharedVolume, machine: Machine, key: string, bytes: number) {
  const { request } = letters(key, bytes);
  const { signal } = machine.gone;
  const begun = new Promise<void>((resolve) => {
    const make = async (file: FileHandle) => {
      await file.write(key.slice(0, 1).repeat(Math.floor(bytes / 2)), 0);
      resolve();
      await new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    };
    volume.begin(machine.store.obtain(key, { ...request, make }, signal));
  });
  await volume.drive(begun);
}
