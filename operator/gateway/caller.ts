// Whose request is it? Pods let callers take turns.
import type { IncomingMessage } from 'node:http';
import { callerHeader } from '../../server/contract.ts';

/** Every process of this machine has it, so it tells nobody from another. */
const loopback = /^(::ffff:)?127\.|^::1$/;

/** The name of the run if the client gives one, else the client's address; undefined where neither tells. */
export function callerOf({ headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>) {
  const named = headers[callerHeader];
  if (typeof named === 'string' && named !== '') return named;
  const address = socket.remoteAddress;
  return address === undefined || loopback.test(address) ? undefined : address;
}
