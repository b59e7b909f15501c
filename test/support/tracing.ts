// Tracing that a test reads: spans as they start, their ends, and who is a part of whom.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Attributes, Span, SpanOptions, Tracing } from '../../common/tracing.ts';

export class RecordedSpan implements Span {
  attributes: Attributes = {};
  hasEnded = false;
  error: unknown;
  name: string;
  readonly parent: Span | undefined;
  readonly links: readonly Span[];

  constructor(name: string, options: SpanOptions, active: Span | undefined) {
    this.name = name;
    this.parent = options.parent ?? active;
    this.links = options.links ?? [];
    this.set(options.attributes ?? {});
  }

  set(attributes: Attributes): void {
    this.attributes = { ...this.attributes, ...attributes };
  }

  rename(name: string): void {
    this.name = name;
  }

  end(error?: unknown): void {
    this.hasEnded = true;
    this.error = error;
  }
}

export class Recorder implements Tracing {
  readonly isOn = true;
  readonly spans: RecordedSpan[] = [];
  isClosed = false;
  readonly #active = new AsyncLocalStorage<Span>();

  start(name: string, options: SpanOptions = {}): Span {
    const span = new RecordedSpan(name, options, this.active());
    this.spans.push(span);
    return span;
  }

  within<T>(span: Span, work: () => T): T {
    return this.#active.run(span, work);
  }

  active(): Span | undefined {
    return this.#active.getStore();
  }

  headersOf(span: Span): Record<string, string> {
    return { traceparent: `of ${this.spans.indexOf(span as RecordedSpan)}` };
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  named(name: string): RecordedSpan[] {
    return this.spans.filter((span) => span.name === name);
  }
}
