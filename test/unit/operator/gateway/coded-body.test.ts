import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { AppError } from '../../../../common/errors.ts';
import { codings } from '../../../../common/http.ts';
import { CodedBodies, codingOf } from '../../../../operator/gateway/coded-body.ts';
import { codeOf, FakePod, model, startGateway } from '../../../support/gateway-kit.ts';

const limit = 100_000; // as `settings` of the kit has it
const { signal } = new AbortController();
const zstd: unknown = Reflect.get(zlib, 'zstdCompressSync');
const encoders: Record<string, (body: Buffer) => Buffer> = {
  gzip: zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: zlib.brotliCompressSync,
  ...(typeof zstd === 'function' && { zstd: zstd as typeof zlib.gzipSync }),
};

const bytes = fc.uint8Array({ maxLength: 2000 }).map((value) => Buffer.from(value));
const coding = fc.constantFrom(...Object.keys(encoders));

describe('CodedBodies', () => {
  it('gives back what was encoded, however many come at once', async () => {
    const coded = new CodedBodies(limit);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(bytes, coding), { maxLength: 5 }), async (bodies) => {
        const decoded = await Promise.all(
          bodies.map(([body, name]) => coded.decode(encoders[name]?.(body) ?? body, name, signal)),
        );

        assert.deepEqual(
          decoded,
          bodies.map(([body]) => body),
        );
      }),
    );
  });

  it('says of any bytes at all what they are, or that they are not in that coding', async () => {
    const coded = new CodedBodies(limit);
    await fc.assert(
      fc.asyncProperty(bytes, coding, async (body, name) => {
        const found = await coded.decode(body, name, signal).catch((err: unknown) => err);

        const isRefused = found instanceof AppError && found.code === 'MALFORMED_BODY';
        assert.ok(Buffer.isBuffer(found) || isRefused, String(found));
      }),
    );
  });

  for (const [name, encode] of Object.entries(encoders)) {
    it(`takes a body of just the limit in ${name}, and none over it`, async () => {
      const coded = new CodedBodies(limit);
      const just = await coded.decode(encode(Buffer.alloc(limit)), name, signal);
      const over = coded.decode(encode(Buffer.alloc(limit + 1)), name, signal);

      assert.equal(just.length, limit);
      await assert.rejects(over, { code: 'BODY_TOO_LARGE' });
    });
  }

  it('ends a body of a gigabyte at the limit', async () => {
    const piece = Buffer.alloc(2 ** 20);
    const bomb = zlib.createGzip();
    const chunks: Buffer[] = [];
    bomb.on('data', (chunk: Buffer) => chunks.push(chunk));
    for (let i = 0; i < 2 ** 10; i++) {
      await new Promise<void>((resolve) => bomb.write(piece, () => resolve()));
    }
    await new Promise<void>((resolve) => bomb.end(resolve));
    const before = process.memoryUsage().arrayBuffers;

    await assert.rejects(new CodedBodies(limit).decode(Buffer.concat(chunks), 'gzip', signal), {
      code: 'BODY_TOO_LARGE',
    });

    const taken = process.memoryUsage().arrayBuffers - before;
    assert.ok(taken < 2 ** 24, `${taken} bytes`);
  });

  it('passes over a body whose client left while others had their turn', async () => {
    const coded = new CodedBodies(limit);
    const client = new AbortController();

    const first = coded.decode(zlib.gzipSync('first'), 'gzip', signal);
    const second = coded.decode(zlib.gzipSync('second'), 'gzip', client.signal);
    const third = coded.decode(zlib.gzipSync('third'), 'gzip', signal);
    client.abort(new Error('left'));

    await assert.rejects(second, { message: 'left' });
    assert.deepEqual([String(await first), String(await third)], ['first', 'third']);
  });

  it('finds no coding where there is none, and refuses one that no pod reads', () => {
    assert.equal(codingOf({}), undefined);
    assert.equal(codingOf({ 'content-encoding': 'Identity' }), undefined);
    assert.equal(codingOf({ 'content-encoding': 'GZIP' }), 'gzip');
    for (const name of ['rot13', 'gzip, gzip', '', 'toString']) {
      assert.throws(() => codingOf({ 'content-encoding': name }), {
        code: 'UNSUPPORTED_MEDIA_TYPE',
      });
    }
  });
});

describe('a gateway', () => {
  const json = Buffer.from('{"model":"rl/big","input_ids":[[1,2]]}');
  const start = async () => {
    const gateway = await startGateway({ models: [model(), model({ key: 'rl/big' })] });
    const pod = await FakePod.start();
    gateway.backend.up(pod.endpoint);
    const post = (path: string, body: Buffer, headers: Record<string, string>) =>
      gateway.send(path, { body: new Uint8Array(body), headers });
    return {
      pod,
      post,
      put: (path: string, body: Buffer, headers: Record<string, string>) =>
        gateway.send(path, { method: 'PUT', body: new Uint8Array(body), headers }),
      async [Symbol.asyncDispose]() {
        await gateway.close();
        await pod.close();
      },
    };
  };

  for (const [name, encode] of Object.entries(encoders)) {
    it(`finds the model in a body in ${name}, and passes the body on as it came`, async () => {
      await using gateway = await start();
      const body = encode(json);

      const res = await gateway.post('/v1/logprobs', body, { 'content-encoding': name });

      assert.equal(res.status, 200);
      const [received] = gateway.pod.received;
      assert.equal(received?.headers['x-refmodel-model'], 'rl/big');
      assert.equal(received?.headers['content-encoding'], name);
      assert.deepEqual(received?.bytes, body);
    });
  }

  it('does not look into the body when the address names the model', async () => {
    await using gateway = await start();
    const body = Buffer.from('not in gzip at all');

    const res = await gateway.post('/rl/tiny/v1/logprobs', body, { 'content-encoding': 'gzip' });

    assert.equal(res.status, 200);
    assert.deepEqual(gateway.pod.received[0]?.bytes, body);
  });

  it('refuses what is not in its coding, decodes to too much, or is in another coding', async () => {
    await using gateway = await start();
    const ask = async (body: Buffer, name: string) => {
      const res = await gateway.post('/v1/logprobs', body, { 'content-encoding': name });
      return {
        status: res.status,
        code: await codeOf(res),
        sent: res.headers.get('accept-encoding'),
      };
    };

    assert.deepEqual(await ask(json, 'gzip'), { status: 400, code: 'MALFORMED_BODY', sent: null });
    assert.deepEqual(await ask(zlib.gzipSync(Buffer.alloc(10 * limit)), 'gzip'), {
      status: 413,
      code: 'BODY_TOO_LARGE',
      sent: null,
    });
    assert.deepEqual(await ask(json, 'rot13'), {
      status: 415,
      code: 'UNSUPPORTED_MEDIA_TYPE',
      sent: codings.join(', '),
    });
    assert.deepEqual(gateway.pod.received, []);
  });

  it('keeps a lease that came in a coding', async () => {
    await using gateway = await start();
    const body = zlib.gzipSync(JSON.stringify({ models: ['big'], ttl_seconds: 60 }));

    const res = await gateway.put('/v1/leases/run-1', body, { 'content-encoding': 'gzip' });

    assert.equal(res.status, 200);
    assert.deepEqual(((await res.json()) as { models: string[] }).models, ['rl/big']);
  });
});
