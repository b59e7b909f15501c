import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../../common/errors.ts';
import { noTracing, startTracing, traced } from '../../../common/tracing.ts';
import { Recorder } from '../../support/tracing.ts';

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' };

describe('startTracing', () => {
  const off: { name: string; env: Record<string, string> }[] = [
    { name: 'unless an endpoint is named', env: {} },
    { name: 'when the SDK is disabled', env: { ...endpoint, OTEL_SDK_DISABLED: 'true' } },
    {
      name: 'when traces are exported to nobody',
      env: { ...endpoint, OTEL_TRACES_EXPORTER: 'none' },
    },
  ];
  for (const { name, env } of off) {
    it(`does nothing ${name}`, async () => {
      assert.equal(await startTracing('x', env), noTracing);
    });
  }

  it('refuses a protocol that is not spoken', async () => {
    const env = { ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };

    await assert.rejects(startTracing('x', env), { code: 'CONFIGURATION_INVALID' });
  });
});

describe('noTracing', () => {
  it('runs the work, and has no span to be a part of', () => {
    const span = noTracing.start('a');

    assert.equal(
      noTracing.within(span, () => 7),
      7,
    );
    assert.equal(noTracing.active(), undefined);
    assert.deepEqual(noTracing.headersOf(span), {});
    assert.equal(noTracing.start('b'), span);
  });
});

describe('traced', () => {
  it('is a span that ends with its work, what starts in it being a part of it', async () => {
    const tracing = new Recorder();

    const result = await traced(tracing, 'outer', { attributes: { a: 1 } }, async (span) => {
      span.set({ b: 2 });
      return traced(tracing, 'inner', {}, async () => 'done');
    });

    const [outer] = tracing.named('outer');
    const [inner] = tracing.named('inner');
    assert.equal(result, 'done');
    assert.deepEqual(outer?.attributes, { a: 1, b: 2 });
    assert.equal(inner?.parent, outer);
    assert.ok(outer?.hasEnded && inner?.hasEnded);
  });

  it('fails as its work fails', async () => {
    const tracing = new Recorder();
    const error = new AppError('QUEUE_FULL', 'full');

    await assert.rejects(
      traced(tracing, 'a', {}, () => Promise.reject(error)),
      error,
    );
    assert.equal(tracing.named('a')[0]?.error, error);
  });

  it('costs no span when tracing is off', async () => {
    assert.equal(await traced(noTracing, 'a', {}, async () => 1), 1);
  });
});
