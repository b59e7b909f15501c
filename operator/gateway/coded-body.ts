// Bodies in a content coding. The pod gets them as they came; what names a model or keeps a lease is read here.
import type { IncomingHttpHeaders } from 'node:http';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { AppError } from '../../common/errors.ts';
import { CodingError } from '../../common/http.ts';

type Decode = (body: Buffer, options: zlib.ZlibOptions) => Promise<Buffer>;

/** Codings that a pod may read; zstd is missing here where Node.js has none, before 22.15. */
const decoders: Readonly<Record<string, Decode | undefined>> = {
  gzip: promisify(zlib.gunzip),
  deflate: promisify(zlib.inflate),
  br: promisify(zlib.brotliDecompress),
  zstd: zstd(),
};

function zstd(): Decode | undefined {
  const decompress: unknown = Reflect.get(zlib, 'zstdDecompress');
  if (typeof decompress !== 'function') return undefined;
  return (body, options) =>
    new Promise((resolve, reject) => {
      const end = (err: Error | null, decoded: Buffer) => (err ? reject(err) : resolve(decoded));
      Reflect.apply(decompress, zlib, [body, options, end]);
    });
}

/** That of a body; undefined when it is written as it is. Throws UNSUPPORTED_MEDIA_TYPE for one that no pod reads. */
export function codingOf(headers: IncomingHttpHeaders): string | undefined {
  const coding = (headers['content-encoding'] ?? 'identity').toLowerCase();
  if (coding === 'identity') return undefined;
  if (Object.hasOwn(decoders, coding)) return coding;
  throw new CodingError(`reading the body: there is no content coding "${coding}"`);
}

/** Decodes bodies one at a time, so that all of them together take no more memory than one. */
export class CodedBodies {
  readonly #maxBytes: number;
  /** Resolves when the last one that came is through. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Throws BODY_TOO_LARGE, MALFORMED_BODY, UNSUPPORTED_MEDIA_TYPE, or the signal's reason. */
  async decode(body: Buffer, coding: string, signal: AbortSignal): Promise<Buffer> {
    const decode = decoders[coding];
    if (!decode) throw new CodingError(`reading the body: this gateway cannot decode "${coding}"`);
    const decoded = this.#last.then(() => {
      signal.throwIfAborted();
      return decode(body, { maxOutputLength: this.#maxBytes });
    });
    this.#last = decoded.catch(() => {});
    try {
      return await decoded;
    } catch (cause) {
      signal.throwIfAborted();
      throw this.#refusal(coding, cause);
    }
  }

  #refusal(coding: string, cause: unknown): AppError {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE') {
      const message = `reading the body: more than ${this.#maxBytes} bytes when it is decoded`;
      return new AppError('BODY_TOO_LARGE', message, { cause });
    }
    const message = `reading the body: it is not in "${coding}", as its Content-Encoding says`;
    return new AppError('MALFORMED_BODY', message, { cause });
  }
}
