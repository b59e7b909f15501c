// Headers on their way through the gateway. Pure.
import type { IncomingHttpHeaders } from 'node:http';
import { callerHeader, modelHeader } from '../../server/contract.ts';

/** Headers of one connection, not of the message (RFC 9110, 7.6.1). */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Those that whoever sends the message writes itself, and the token, which is for us and not for who runs in a pod. */
const written = new Set(['host', 'content-length', 'expect', 'authorization']);
/** Those that only a gateway may set. */
const ownedPrefix = 'x-refmodel-';

/** What a pod gets of the headers of a request. The body's length is up to whoever sends it. */
export function toPod(
  headers: IncomingHttpHeaders,
  { model, caller }: { model: string; caller?: string | undefined },
): IncomingHttpHeaders {
  const sent = copy(headers, (name) => written.has(name) || name.startsWith(ownedPrefix));
  sent[modelHeader] = model;
  if (caller !== undefined) sent[callerHeader] = caller;
  return sent;
}

/** What a client gets of the headers of an answer. */
export const toClient = (headers: IncomingHttpHeaders): IncomingHttpHeaders =>
  copy(headers, () => false);

/** The headers of the message itself: without those of the connection, and those that it names. */
function copy(
  headers: IncomingHttpHeaders,
  isDropped: (name: string) => boolean,
): IncomingHttpHeaders {
  const named = namedBy(headers.connection);
  const kept: IncomingHttpHeaders = {};
  for (const name of Object.keys(headers)) {
    if (!hopByHop.has(name) && !named.includes(name) && !isDropped(name))
      kept[name] = headers[name];
  }
  return kept;
}

const none: readonly string[] = [];

function namedBy(connection: string | string[] | undefined): readonly string[] {
  if (connection === undefined || connection === 'keep-alive') return none; // nearly always
  return String(connection)
    .split(',')
    .map((name) => name.trim().toLowerCase());
}
