// The bearer token of a request. Pure; nothing here believes what a token says.
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';

/** What callers ask the API server for: `kubectl create token NAME --audience refmodel`. */
export const audience = 'refmodel';

const maxTokenLength = 16_384;
const bearer = /^bearer +([\w.~+/-]+=*)$/i;

/**
 * The token of the Authorization header, undefined without one. Throws INVALID_REQUEST for a header that comes twice:
 * a proxy in front may have read the other one.
 * @param rawHeaders names and values in turn, as node has them
 */
export function bearerToken(rawHeaders: readonly string[]): string | undefined {
  const [value] = valuesOf('authorization', rawHeaders);
  return value === undefined ? undefined : bearer.exec(value)?.[1];
}

/** Headers by which a request is judged must not be there twice. Throws INVALID_REQUEST. */
export function refuseDoubles(rawHeaders: readonly string[]): void {
  for (const name of ['host', 'authorization']) {
    if (valuesOf(name, rawHeaders).length < 2) continue;
    throw new AppError('INVALID_REQUEST', `reading the headers: "${name}" is there more than once`);
  }
}

const valuesOf = (name: string, rawHeaders: readonly string[]): string[] =>
  rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name);

const claims = z.object({
  aud: z.union([z.string(), z.array(z.string())]),
  exp: z.number(),
});

/**
 * Whether it can be a token of a ServiceAccount for us: a JSON web token (RFC 7519) of our audience that has not
 * expired. Asked before the API server, so that the keys which clients make up cost nobody a review.
 * @param now milliseconds since the epoch
 */
export function mayBeOurs(token: string, now: number): boolean {
  if (token.length > maxTokenLength) return false;
  const [, payload, signature, rest] = token.split('.');
  if (payload === undefined || !signature || rest !== undefined) return false;
  const { data } = claims.safeParse(parseJson(Buffer.from(payload, 'base64url')));
  return data !== undefined && [data.aud].flat().includes(audience) && data.exp * 1000 > now;
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined; // not a token of any ServiceAccount
  }
}
