import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../../../common/errors.ts';
import type { Lease } from '../../../../../server/model/cache/model-cache.ts';
import { gone, type Thing, World } from '../../../../support/cache-kit.ts';
import { settle } from '../../../../support/clock.ts';

const nth = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(1, list.length)];

describe('ModelCache under any interleaving', () => {
  const sizes: Record<string, number> = { 'rl/a': 30, 'rl/b': 40, 'rl/c': 50, 'rl/d': 70 };
  /** The more often it stands here, the more often it happens. */
  const verbs = [
    ...(['acquire', 'acquire', 'acquire', 'finish', 'finish', 'release', 'release'] as const),
    ...(['endClosing', 'endClosing', 'leave', 'die', 'remove', 'step'] as const),
  ];
  type Verb = (typeof verbs)[number];
  const command = fc.record({
    verb: fc.constantFrom(...verbs),
    model: fc.constantFrom(...Object.keys(sizes)),
    pick: fc.nat(50),
    fails: fc.boolean(),
  });
  type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

  interface Waiter {
    client: AbortController;
    lease?: Lease<Thing>;
    isSettled: boolean;
  }

  class Run {
    readonly world = new World({ bytesOf: (name) => sizes[name] ?? 0 });
    readonly waiters: Waiter[] = [];
    readonly removed = new Set<Thing>();

    acquire(name: string): void {
      const waiter: Waiter = { client: new AbortController(), isSettled: false };
      this.waiters.push(waiter);
      this.world.acquire(name, waiter.client.signal).then(
        (lease) => Object.assign(waiter, { lease, isSettled: true }),
        () => Object.assign(waiter, { isSettled: true }),
      );
    }

    release(waiter: Waiter | undefined): void {
      waiter?.lease?.[Symbol.dispose]();
      delete waiter?.lease;
    }

    readonly verbs: Record<Verb, (command: Command) => unknown> = {
      acquire: ({ model }) => this.acquire(model),
      finish: ({ pick, fails }) => {
        const loading = this.world.residents().filter((thing) => !this.isLoaded(thing));
        const failure = fails ? new AppError('LOAD_FAILED', 'no luck') : undefined;
        nth(loading, pick)?.finishLoad(failure);
      },
      release: ({ pick }) => {
        const leased = this.waiters.filter((waiter) => waiter.lease);
        this.release(nth(leased, pick));
      },
      endClosing: ({ pick }) => {
        const closing = this.world.residents().filter((thing) => thing.isClosing);
        nth(closing, pick)?.end();
      },
      leave: ({ pick }) => {
        const waiting = this.waiters.filter((waiter) => !waiter.isSettled);
        nth(waiting, pick)?.client.abort(gone);
      },
      die: ({ pick }) => {
        const loaded = this.world.things.filter((thing) => this.isLoaded(thing));
        nth(loaded, pick)?.end();
      },
      remove: ({ model }) => {
        for (const thing of this.world.things) if (thing.name === model) this.removed.add(thing);
        void this.world.cache.remove(model);
      },
      step: ({ pick }) => this.world.clock.step(pick * 500),
    };

    isLoaded(thing: Thing): boolean {
      return thing.isResident && this.world.cache.info().some((model) => model.value === thing);
    }

    check(): void {
      const { world } = this;
      const residents = world.residents();
      const bytes = residents.reduce((sum, thing) => sum + thing.memory.host, 0);
      assert.ok(residents.length <= 2, `${residents.length} models in memory`);
      assert.ok(bytes <= 100, `${bytes} bytes in memory`);
      for (const { lease } of this.waiters) {
        assert.ok(!lease?.value.isClosing, `${lease?.value.name} is closed under a lease`);
      }
      const current = residents.filter((t) => !t.isClosing && !this.removed.has(t));
      assert.equal(
        new Set(current.map((t) => t.name)).size,
        current.length,
        'two loads of one model',
      );
    }

    /** Everything that can go on goes on: then no one may wait any more. */
    async finish(): Promise<void> {
      for (let i = 0; i < 400 && !this.isQuiet(); i++) {
        for (const waiter of this.waiters) this.release(waiter);
        for (const thing of this.world.things) {
          thing.finishLoad();
          if (thing.isClosing) thing.end();
        }
        await this.world.clock.step(1000);
        this.check();
      }
      assert.ok(this.isQuiet(), 'someone waits for ever');
      assert.equal(this.world.clock.pending, 0);
    }

    isQuiet(): boolean {
      const isLoading = this.world.cache.info().some((model) => model.residency === 'Loading');
      // A load that was removed still ends behind the model whose room it waited for.
      const isClosing = this.world.residents().some((thing) => thing.isClosing);
      return (
        !isLoading &&
        !isClosing &&
        this.waiters.every((waiter) => waiter.isSettled && !waiter.lease)
      );
    }
  }

  it('holds its limits, never closes under a lease, loads a model once, and answers everyone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 60 }), async (commands) => {
        const run = new Run();
        for (const step of commands) {
          await run.verbs[step.verb](step);
          await settle();
          run.check();
        }
        await run.finish();
        const { models } = run.world.cache.residents();
        assert.equal(models, run.world.residents().length);
      }),
      { numRuns: 150 },
    );
  });
});
