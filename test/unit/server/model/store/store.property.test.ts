import assert from 'node:assert/strict';
import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  letters,
  type Machine,
  neverAborted,
  put,
  putHalf,
  SharedVolume,
  staleMs,
} from '../../../../support/store-kit.ts';

const budgetBytes = 100;
/** Of each key, always the same: a key names its content. */
const sizes: Record<string, number> = { a: 10, b: 20, c: 30, d: 40, e: 50, f: 90 };

/** The more often it stands here, the more often it happens. */
const verbs = [
  ...(['obtain', 'obtain', 'obtain', 'obtain', 'hold', 'hold', 'release', 'release'] as const),
  ...(['begin', 'kill', 'breakFile', 'pass'] as const),
];
const command = fc.record({
  verb: fc.constantFrom(...verbs),
  key: fc.constantFrom(...Object.keys(sizes)),
  machine: fc.nat(2),
});
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

interface Hold {
  machine: Machine;
  key: string;
  hold: AsyncDisposable;
}

class Run implements AsyncDisposable {
  readonly volume = new SharedVolume({ budgetBytes });
  readonly machines = [0, 5, -5].map((skewHours) => this.volume.machine(skewHours));
  readonly holds: Hold[] = [];
  /** Keys that a machine makes without ever finishing. */
  readonly begun: { machine: Machine; key: string }[] = [];

  machine(n: number): Machine {
    const machine = this.machines[n];
    assert.ok(machine, 'there is no such machine');
    return machine;
  }

  readonly verbs: Record<Command['verb'], (command: Command) => unknown> = {
    obtain: (command) => this.obtain(command),
    hold: async ({ machine, key }) => {
      const { store } = this.machine(machine);
      const hold = await store.hold(store.fileOf(key));
      this.holds.push({ machine: this.machine(machine), key, hold });
    },
    release: async () => {
      const first = this.holds.shift();
      if (first) await this.volume.drive(Promise.resolve(first.hold[Symbol.asyncDispose]()));
    },
    begin: async ({ machine: n, key }) => {
      const machine = this.machine(n);
      const isBusy = this.begun.some((other) => other.key === key);
      const granted = this.begun.reduce((sum, other) => sum + bytesOf(other.key), bytesOf(key));
      const held = this.keys()
        .filter((name) => this.isHeld(name))
        .map(bytesOf);
      const used = held.reduce((sum, bytes) => sum + bytes, granted);
      if (isBusy || this.keys().includes(key) || used > budgetBytes) return;
      await putHalf(this.volume, machine, key, bytesOf(key));
      this.begun.push({ machine, key });
    },
    kill: ({ machine: n }) => {
      const machine = this.machine(n);
      this.volume.kill(machine);
      this.machines[n] = this.volume.machine(n);
      const stays = (other: { machine: Machine }) => other.machine !== machine;
      for (const { hold } of this.holds.filter((other) => !stays(other))) {
        this.volume.begin(Promise.resolve(hold[Symbol.asyncDispose]()));
      }
      this.holds.splice(0, Infinity, ...this.holds.filter(stays));
      this.begun.splice(0, Infinity, ...this.begun.filter(stays));
    },
    breakFile: ({ key }) => {
      if (this.keys().includes(key)) writeFileSync(this.file(key), 'x');
    },
    pass: () => this.volume.pass(staleMs),
  };

  async obtain({ machine, key }: Command): Promise<void> {
    if (this.begun.some((other) => other.key === key)) return; // waits for ever
    const before = this.keys();
    const ages = new Map(before.map((name) => [name, this.volume.stat(...place(name)).mtimeMs]));
    const hadHolds = new Set(this.volume.list('holds').map((name) => name.split(/[~.]/)[1]));
    const isDone = await put(this.volume, this.machine(machine), key, bytesOf(key)).then(
      () => true,
      (err: unknown) => {
        assert.equal((err as { code?: string }).code, 'DISK_FULL');
        return false;
      },
    );

    const after = this.keys();
    const evicted = before.filter((name) => !after.includes(name) && name !== key);
    assert.equal(after.includes(key), isDone || before.includes(key));
    for (const gone of evicted) assert.ok(!this.isHeld(gone), `${gone} was evicted under a hold`);
    // What a dead machine held is younger than it seems: its last sign counts, once it is known to be dead.
    const age = (name: string) => ages.get(name) ?? 0;
    const free = (name: string) => name !== key && !hadHolds.has(name);
    const youngest = evicted.filter(free).sort((x, y) => age(y) - age(x))[0];
    for (const kept of youngest ? after.filter(free) : []) {
      assert.ok(age(youngest ?? '') <= age(kept), `${youngest} was evicted before ${kept}`);
    }
    const used = this.used();
    assert.ok(used <= budgetBytes, `${used} bytes are used`);
    if (!isDone) assert.deepEqual(evicted, [], 'something was lost for nothing');
    const isNeeded = !youngest || used + bytesOf(youngest) > budgetBytes;
    assert.ok(isNeeded || evicted.some((name) => !free(name)), `${youngest} was evicted in vain`);
  }

  /** Also what is granted and not written yet. */
  used(): number {
    const files = this.keys().map((key) => this.volume.stat(...place(key)).size);
    const marks = this.volume
      .list('locks')
      .flatMap((lock) => this.volume.list('locks', lock).map((mark) => [lock, mark]))
      .map(([lock = '', mark = '']) => this.volume.stat('locks', lock, mark).size);
    return [...files, ...marks].reduce((sum, bytes) => sum + bytes, 0);
  }

  keys(): string[] {
    return this.volume.list('converted').map((name) => path.basename(name, '.safetensors'));
  }

  file = (key: string): string => this.volume.file(...place(key));
  isHeld = (key: string): boolean => this.holds.some((hold) => hold.key === key);

  async check({ verb }: Command): Promise<void> {
    for (const key of this.keys()) {
      const content = readFileSync(this.file(key), 'utf8');
      const isBroken = content === 'x';
      assert.ok(isBroken || content === letters(key, bytesOf(key)).content, `${key} is not whole`);
    }
    assert.ok(verb !== 'obtain' || this.used() <= budgetBytes, 'over the budget');
    await this.volume.step(1);
  }

  /** Who lives lets go of everything: then whatever fits alone can be had. */
  async finish(): Promise<void> {
    for (const { hold } of this.holds.splice(0)) {
      await this.volume.drive(Promise.resolve(hold[Symbol.asyncDispose]()));
    }
    for (const machine of this.machines) this.volume.kill(machine);
    const last = this.volume.machine();
    for (const key of Object.keys(sizes)) await put(this.volume, last, key, bytesOf(key));
    await this.volume.drive(last.store.tidy(neverAborted));
    assert.deepEqual([this.volume.list('locks'), this.volume.list('holds')], [[], []]);
    assert.deepEqual(this.keys(), ['f']);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.volume[Symbol.asyncDispose]();
  }
}

const bytesOf = (key: string): number => sizes[key] ?? 0;
const place = (key: string): [string, string] => ['converted', `${key}.safetensors`];

describe('Store under any sequence of uses and kills', () => {
  it('keeps to its budget and to the order of use, never evicts what is held, has only whole files', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 30 }), async (commands) => {
        await using run = new Run();
        for (const step of commands) {
          await run.verbs[step.verb](step);
          await run.check(step);
        }
        await run.finish();
      }),
      { numRuns: 25 },
    );
  });

  it('counts a file whose time somebody set to the future as used last', async () => {
    await using volume = new SharedVolume({ budgetBytes: 20 });
    const machine = volume.machine();
    await put(volume, machine, 'a', 10);
    utimesSync(machine.store.fileOf('a'), 9e9, 9e9);
    await put(volume, machine, 'b', 10);

    await put(volume, machine, 'c', 10);

    assert.deepEqual(volume.list('converted'), ['a.safetensors', 'c.safetensors']);
  });
});
