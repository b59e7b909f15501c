// A cache over things whose load and end a test decides.
import assert from 'node:assert/strict';
import { AppError, type ErrorCode } from '../../common/errors.ts';
import { silentLogger } from '../../common/log.ts';
import { type Lease, type Load, ModelCache } from '../../server/model/cache/model-cache.ts';
import type { CacheObserver, Lookup } from '../../server/model/cache/observer.ts';
import type { Bytes } from '../../server/model/memory.ts';
import type { LoadPhase, Report } from '../../server/model/progress.ts';
import type { Ending } from '../../server/model/scoring.ts';
import { FakeClock } from './clock.ts';
import { catalogModel } from './server-kit.ts';
import { Recorder } from './tracing.ts';

export const silentObserver: CacheObserver = {
  onLookup: () => {},
  onLoad: () => {},
  onPhase: () => {},
  onEvict: () => {},
  onDiskEvicted: () => {},
  onDeath: () => {},
};

export const forever = new AbortController().signal;
export const gone = new Error('the client left');

export const host = (bytes: number): Bytes => ({ host: bytes, device: 0 });

/** Something in memory, whose load and end a test decides. */
export class Thing {
  readonly ended: Promise<Ending>;
  /** Of an estimate, until a test says what was measured. */
  memory: Bytes;
  isResident = false;
  isClosing = false;
  report: Report = () => {};
  finishLoad: (failure?: AppError) => void = () => {};
  /** Of a close that was asked for, or of itself. */
  end: () => void = () => {};
  readonly name: string;
  readonly #endsWhenClosed: boolean;

  constructor(name: string, bytes: number, endsWhenClosed: boolean) {
    this.name = name;
    this.memory = host(bytes);
    this.#endsWhenClosed = endsWhenClosed;
    this.ended = new Promise((resolve) => {
      this.end = () => {
        this.isResident = false;
        resolve({ how: 'Crashed', detail: 'it ended' });
      };
    });
  }

  async close(): Promise<void> {
    this.isClosing = true;
    if (this.#endsWhenClosed) this.end();
    await this.ended;
  }
}

interface WorldOptions {
  maxModels?: number;
  memoryBytes?: number;
  bytesOf?: (name: string) => number;
  /** Loads and closes finish by themselves. */
  isPrompt?: boolean;
}

/** A cache over things. */
export class World {
  readonly clock = new FakeClock();
  readonly shutdown = new AbortController();
  readonly things: Thing[] = [];
  readonly tracing = new Recorder();
  readonly lookups: Lookup[] = [];
  readonly outcomes: (ErrorCode | undefined)[] = [];
  readonly phases: LoadPhase[] = [];
  readonly deaths: Ending['how'][] = [];
  evictions = 0;
  readonly cache: ModelCache<Thing>;
  readonly #options: WorldOptions;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.cache = new ModelCache({
      load: this.#load,
      limits: { maxModels: options.maxModels ?? 2, memory: host(options.memoryBytes ?? 100) },
      loadTimeoutMs: 600_000,
      roomTimeoutMs: 60_000,
      clock: this.clock,
      log: silentLogger,
      tracing: this.tracing,
      observer: {
        onLookup: (result) => void this.lookups.push(result),
        onLoad: (_seconds, code) => void this.outcomes.push(code),
        onPhase: (phase) => void this.phases.push(phase),
        onEvict: () => void this.evictions++,
        onDiskEvicted: () => {},
        onDeath: (how) => void this.deaths.push(how),
      },
      shutdown: this.shutdown.signal,
    });
  }

  acquire(name: string, signal = forever): Promise<Lease<Thing>> {
    return this.cache.acquire(catalogModel(name), signal);
  }

  thing(name: string): Thing {
    const thing = this.things.findLast((t) => t.name === name);
    assert.ok(thing, `no load of ${name} yet`);
    return thing;
  }

  residents(): Thing[] {
    return this.things.filter((thing) => thing.isResident);
  }

  readonly #load: Load<Thing> = async (model, { admit, reserve, report, signal }) => {
    const { bytesOf, isPrompt } = this.#options;
    const thing = new Thing(model.name, bytesOf?.(model.name) ?? 10, isPrompt ?? false);
    this.things.push(thing);
    thing.report = report;
    admit(thing.memory);
    await reserve(thing.memory);
    thing.isResident = true;
    if (isPrompt) return thing;
    await new Promise<void>((resolve, reject) => {
      const fail = (reason: Error) => {
        thing.end();
        reject(reason);
      };
      thing.finishLoad = (failure) => (failure ? fail(failure) : resolve());
      signal.addEventListener('abort', () => fail(signal.reason as Error));
    });
    return thing;
  };
}
