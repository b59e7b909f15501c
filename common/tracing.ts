// Spans of the work that requests cause, across processes. Off by default, and then nothing of it is loaded: who works
// with spans gets ones that do nothing. It knows no domain, and nothing of who collects them.
import type { IncomingHttpHeaders } from 'node:http';
import { AppError } from './errors.ts';

export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** A piece of work, from its start to its end. */
export interface Span {
  set(attributes: Attributes): void;
  rename(name: string): void;
  /** It is over: well, or with an error. */
  end(error?: unknown): void;
}

export interface SpanOptions {
  /** Server: another process asks. Client: it asks another process. Default: neither. */
  readonly kind?: 'Server' | 'Client';
  readonly attributes?: Attributes;
  /** What it is a part of. Default: the span that runs; without one it is a trace of its own. */
  readonly parent?: Span;
  /** Of a request: its `traceparent` names the parent. */
  readonly headers?: IncomingHttpHeaders;
  /** Others that it works for. */
  readonly links?: readonly Span[];
}

export interface Tracing {
  readonly isOn: boolean;
  start(name: string, options?: SpanOptions): Span;
  /** Runs `work` as a part of `span`: spans that start in it, and in what it starts, are its children. */
  within<T>(span: Span, work: () => T): T;
  /** The span that runs; undefined where none does. */
  active(): Span | undefined;
  /** Headers by which spans of the process that gets them become children of `span`. */
  headersOf(span: Span): Readonly<Record<string, string>>;
  /** Sends what is not sent yet. */
  close(): Promise<void>;
}

const noSpan: Span = { set: () => {}, rename: () => {}, end: () => {} };

export const noTracing: Tracing = {
  isOn: false,
  start: () => noSpan,
  within: (_span, work) => work(),
  active: () => undefined,
  headersOf: () => ({}),
  close: async () => {},
};

/** `work` as a span: it ends with it, and fails with it. */
export async function traced<T>(
  tracing: Tracing,
  name: string,
  options: SpanOptions,
  work: (span: Span) => Promise<T>,
): Promise<T> {
  if (!tracing.isOn) return work(noSpan);
  const span = tracing.start(name, options);
  try {
    const result = await tracing.within(span, () => work(span));
    span.end();
    return result;
  } catch (err) {
    span.end(err);
    throw err;
  }
}

/** The only protocol that is spoken. */
const protocol = 'http/json';
const endpoints = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'];
const protocols = ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'];

/**
 * The standard variables of OpenTelemetry (opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables)
 * switch it on and say where spans go. Throws CONFIGURATION_INVALID for a protocol other than OTLP over HTTP in JSON.
 */
export async function startTracing(service: string, env: NodeJS.ProcessEnv): Promise<Tracing> {
  const isAsked = endpoints.some((name) => env[name]);
  const isOff = env['OTEL_SDK_DISABLED'] === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none';
  if (!isAsked || isOff) return noTracing;
  const asked = protocols.map((name) => env[name]).find(Boolean) ?? protocol;
  if (asked !== protocol) {
    const message = `reading the configuration: OTLP over ${asked} is not spoken; set OTEL_EXPORTER_OTLP_PROTOCOL to ${protocol}, or leave it out`;
    throw new AppError('CONFIGURATION_INVALID', message);
  }
  const { createTracing } = await import('./opentelemetry.ts');
  return createTracing(service, env);
}
