// Spans by OpenTelemetry, sent by OTLP over HTTP. Only `startTracing` loads this file.
import {
  type Context,
  context,
  type Span as OtelSpan,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { toAppError } from './errors.ts';
import type { Attributes, Span, SpanOptions, Tracing } from './tracing.ts';

/** Reads what else the standard variables say: sampler, limits, headers, attributes of the resource. */
export function createTracing(service: string, env: NodeJS.ProcessEnv): Tracing {
  const name = env['OTEL_SERVICE_NAME'] || service;
  const provider = new NodeTracerProvider({
    resource: defaultResource()
      .merge(detectResources({ detectors: [envDetector] }))
      .merge(resourceFromAttributes({ 'service.name': name })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  provider.register(); // W3C trace context, and the context of asynchronous calls
  const tracer = provider.getTracer('refmodel');
  return {
    isOn: true,
    start(spanName, options = {}) {
      const { kind, attributes, links = [] } = options;
      const settings = {
        kind: kinds[kind ?? 'Internal'],
        attributes: { ...attributes },
        links: links.flatMap((link) => {
          const span = spanOf(link);
          return span ? [{ context: span.spanContext() }] : [];
        }),
      };
      return new TracedSpan(tracer.startSpan(spanName, settings, parentOf(options)));
    },
    within: (span, work) => context.with(contextOf(span), work),
    active() {
      const span = trace.getActiveSpan();
      return span && new TracedSpan(span);
    },
    headersOf(span) {
      const headers: Record<string, string> = {};
      propagation.inject(contextOf(span), headers);
      return headers;
    },
    close: () => provider.shutdown(),
  };
}

const kinds = {
  Server: SpanKind.SERVER,
  Client: SpanKind.CLIENT,
  Internal: SpanKind.INTERNAL,
} as const;

class TracedSpan implements Span {
  readonly span: OtelSpan;

  constructor(span: OtelSpan) {
    this.span = span;
  }

  set(attributes: Attributes): void {
    this.span.setAttributes({ ...attributes });
  }

  rename(name: string): void {
    this.span.updateName(name);
  }

  end(error?: unknown): void {
    if (error !== undefined) {
      const { code, message } = toAppError(error);
      this.span.setAttribute('error.type', code);
      this.span.setStatus({ code: SpanStatusCode.ERROR, message });
    }
    this.span.end();
  }
}

const spanOf = (span: Span): OtelSpan | undefined =>
  span instanceof TracedSpan ? span.span : undefined;

function contextOf(span: Span, base = context.active()): Context {
  const own = spanOf(span);
  return own ? trace.setSpan(base, own) : base;
}

function parentOf({ parent, headers }: SpanOptions): Context {
  if (parent) return contextOf(parent);
  return headers ? propagation.extract(ROOT_CONTEXT, headers) : context.active();
}
