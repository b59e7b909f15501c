// The metrics of one process: one registry, one prefix, one way to make each kind. It does not know what is measured.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds. Loads of large models take minutes, so they go to half an hour. */
export const secondsBuckets = [
  0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 20, 40, 60, 120, 300, 600, 1200, 1800,
];

/** 1, 2, 4 … */
export const powersOfTwo = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => 2 ** i);

/** One value by its labels. */
export type Reading<T extends string> = readonly [labels: Record<T, string>, value: number];

type Readings<T extends string> = Iterable<Reading<T>>;

export class Metrics {
  readonly registry = new Registry();
  readonly #prefix: string;

  /** Names get `prefix`; those of the process itself (prom-client's defaults) have names of their own. */
  constructor(prefix: string) {
    this.#prefix = prefix;
    collectDefaultMetrics({ register: this.registry });
  }

  counter<T extends string = never>(
    name: string,
    help: string,
    labelNames: readonly T[] = [],
  ): Counter<T> {
    return new Counter({ ...this.#named(name, help), labelNames });
  }

  histogram<T extends string = never>(
    name: string,
    help: string,
    options: { labelNames?: readonly T[]; buckets?: number[] } = {},
  ): Histogram<T> {
    return new Histogram({ ...this.#named(name, help), buckets: secondsBuckets, ...options });
  }

  /** One that its owner sets. */
  gauge<T extends string = never>(
    name: string,
    help: string,
    labelNames: readonly T[] = [],
  ): Gauge<T> {
    return new Gauge({ ...this.#named(name, help), labelNames });
  }

  /** One that is read at each scrape; what is not read any more is gone. */
  reading<T extends string>(
    name: string,
    help: string,
    labelNames: readonly T[],
    read: () => Readings<T> | Promise<Readings<T>>,
  ): void {
    const gauge: Gauge<T> = new Gauge({
      ...this.#named(name, help),
      labelNames,
      async collect() {
        const found = await read();
        gauge.reset();
        for (const [labels, value] of found) gauge.set(labels, value);
      },
    });
  }

  /** One without labels that is read at each scrape. */
  readingOf(name: string, help: string, read: () => number | Promise<number>): void {
    const gauge: Gauge = new Gauge({
      ...this.#named(name, help),
      collect: async () => gauge.set(await read()),
    });
  }

  /** A sum that somebody else counts, read at each scrape; what is not read any more is gone. */
  counted<T extends string>(
    name: string,
    help: string,
    labelNames: readonly T[],
    read: () => Promise<Readings<T>>,
  ): void {
    const counter: Counter<T> = new Counter({
      ...this.#named(name, help),
      labelNames,
      async collect() {
        const found = await read();
        counter.reset();
        for (const [labels, value] of found) counter.inc(labels, value);
      },
    });
  }

  #named(name: string, help: string) {
    return { name: this.#prefix + name, help, registers: [this.registry] };
  }
}
