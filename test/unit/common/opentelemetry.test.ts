import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../../common/errors.ts';
import { startTracing } from '../../../common/tracing.ts';
import { OtlpReceiver } from '../../support/otlp.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parentId = 'b7ad6b7169203331';

describe('tracing by OpenTelemetry', () => {
  it('sends spans with parents, links, errors and the name of the service, and follows traceparent', async () => {
    await using receiver = await OtlpReceiver.start();
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-collector=secret',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test',
    };
    Object.assign(process.env, env); // the SDK reads what else there is
    const tracing = await startTracing('refmodel-test', env);
    const other = tracing.start('other');

    const headers = { traceparent: `00-${traceId}-${parentId}-01` };
    const request = tracing.start('GET', { kind: 'Server', headers, attributes: { n: 1, s: 'x' } });
    const sent = await tracing.within(request, async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      const pass = tracing.start('pass', { links: [other] });
      pass.end(new AppError('QUEUE_FULL', 'full'));
      assert.ok(tracing.active());
      return tracing.headersOf(request);
    });
    request.rename('GET /x');
    request.end();
    other.end();
    await tracing.close();

    const root = receiver.named('GET /x');
    const pass = receiver.named('pass');
    const lone = receiver.named('other');
    assert.ok(root && pass && lone);
    assert.deepEqual([root.traceId, root.parentSpanId, root.kind], [traceId, parentId, 2]);
    assert.deepEqual(root.attributes, { n: 1, s: 'x' });
    assert.deepEqual([pass.traceId, pass.parentSpanId], [traceId, root.spanId]);
    assert.deepEqual(pass.links, [lone.spanId]);
    assert.deepEqual([pass.isError, pass.attributes['error.type']], [true, 'QUEUE_FULL']);
    assert.notEqual(lone.traceId, traceId);
    assert.equal(root.service, 'refmodel-test');
    assert.equal(sent['traceparent'], `00-${traceId}-${root.spanId}-01`);
    assert.deepEqual([...new Set(receiver.headers)], ['secret']);
  });
});
