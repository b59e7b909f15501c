// Answers written as text in pieces: no answer is held whole, a slow reader does not fill our memory, and between two
// pieces others get their turn.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Response } from 'express';
import { compressorFor, pipeText } from './answer/coding.ts';
import { tracedFor } from './trace.ts';

const pieceLength = 64 * 1024;
/** A shorter text is sent as it is. */
const minCompressedLength = 1024;

/**
 * Writes `parts` of a JSON text as they are made, in the coding that the client asks for. Rejects with the signal's
 * reason when it fires.
 */
export const sendJsonText = (
  res: Response,
  parts: Iterable<string>,
  signal: AbortSignal,
): Promise<void> => tracedFor(res, 'encode', () => send(res, parts, signal));

async function send(res: Response, parts: Iterable<string>, signal: AbortSignal): Promise<void> {
  res.type('application/json');
  const pieces = piecesOf(parts);
  const first = pieces.next().value ?? '';
  const compressor = first.length < minCompressedLength ? undefined : compressorFor(res);
  if (first.length < pieceLength && !compressor) res.end(first);
  else await pipeText(inTurns(first, pieces), compressor, res, signal);
}

/** None but the last is shorter than `pieceLength`. */
function* piecesOf(parts: Iterable<string>): Generator<string, undefined> {
  let piece = '';
  for (const part of parts) {
    piece += part;
    if (piece.length < pieceLength) continue;
    yield piece;
    piece = '';
  }
  if (piece.length > 0) yield piece;
}

/** A socket that takes all at once drains before others had their turn. */
async function* inTurns(first: string, others: Iterable<string>): AsyncGenerator<string> {
  yield first;
  await nextTurn();
  for (const piece of others) {
    yield piece;
    await nextTurn();
  }
}
