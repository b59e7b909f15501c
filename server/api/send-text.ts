// Answers written as text in pieces: no answer is held whole, a slow reader does not fill our memory, and between two
// pieces others get their turn.
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Response } from 'express';
import { tracedFor } from './trace.ts';

const pieceLength = 64 * 1024;

/** Writes `parts` of a JSON text as they are made. Rejects with the signal's reason when it fires. */
export const sendJsonText = (
  res: Response,
  parts: Iterable<string>,
  signal: AbortSignal,
): Promise<void> => tracedFor(res, 'encode', () => send(res, parts, signal));

async function send(res: Response, parts: Iterable<string>, signal: AbortSignal): Promise<void> {
  res.type('application/json');
  let piece = '';
  for (const part of parts) {
    piece += part;
    if (piece.length < pieceLength) continue;
    const isTaken = res.write(piece);
    piece = '';
    if (!isTaken) await drained(res, signal);
    await nextTurn(); // a socket that takes all at once drains before others had theirs
    signal.throwIfAborted();
  }
  res.end(piece);
}

async function drained(res: Response, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  try {
    await once(res, 'drain', { signal });
  } catch (err) {
    signal.throwIfAborted();
    throw err;
  }
}
