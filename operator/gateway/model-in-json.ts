// The model that a JSON body names. Pure. Bodies are megabytes of token ids: parsing one holds up every other request, so
// those of some size are searched instead.
import { AppError } from '../../common/errors.ts';

/** Up to this a parse takes next to nothing, and says what is wrong with a body before a pod is woken for it. Bytes. */
const parsedBytes = 2048;
/** A body with more places to look at is parsed. */
const maxCandidates = 8;

/** The top-level `model` of a body, when it has one that is a text. Throws MALFORMED_JSON, where it looks that far. */
export function modelInJson(body: Buffer | undefined): string | undefined {
  if (!body || body.length === 0) return undefined;
  const found = body.length > parsedBytes ? search(body) : undefined;
  return found ? found.model : parse(body);
}

function parse(body: Buffer): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new AppError('MALFORMED_JSON', 'finding the model: the body is not JSON', { cause });
  }
  if (typeof value !== 'object' || value === null || !('model' in value)) return undefined;
  return typeof value.model === 'string' ? value.model : undefined;
}

const [quote, backslash, colon, openBrace] = [0x22, 0x5c, 0x3a, 0x7b];
const key = Buffer.from('"model"');

/**
 * What `parse` finds in a body that is valid JSON; undefined when only a parse can tell. Without a backslash a quote is
 * always the begin or the end of a string, so `"model"` is one wherever it stands. It is the key when a colon follows and
 * it is nested in nothing but the outermost object; of several the last counts.
 */
function search(body: Buffer): { model: string | undefined } | undefined {
  if (body[skipSpace(body, 0)] !== openBrace || body.includes(backslash)) return undefined;
  let before = body.length;
  for (let tried = 0; tried < maxCandidates; tried++) {
    const at = body.lastIndexOf(key, before - key.length);
    if (at < 0 || before < key.length) return { model: undefined };
    before = at;
    const next = skipSpace(body, at + key.length);
    if (body[next] !== colon || depthAt(body, at) !== 1) continue;
    return { model: stringAt(body, skipSpace(body, next + 1)) };
  }
  return undefined;
}

function stringAt(body: Buffer, at: number): string | undefined {
  if (body[at] !== quote) return undefined;
  return body.toString('utf8', at + 1, body.indexOf(quote, at + 1));
}

/** Objects and arrays around the key that begins at `at`, counted on the side that is shorter. */
function depthAt(body: Buffer, at: number): number {
  const end = at + key.length;
  return at < body.length - end ? opened(body, 0, at) : -opened(body, end, body.length);
}

/** How many more objects and arrays begin than end in [from, to), which begins outside of any string. */
function opened(body: Buffer, from: number, to: number): number {
  let depth = 0;
  let isInString = false;
  for (let i = from; i < to; i++) {
    const byte = body[i];
    if (byte === quote) isInString = !isInString;
    else if (isInString) continue;
    else if (byte === openBrace || byte === 0x5b) depth += 1;
    else if (byte === 0x7d || byte === 0x5d) depth -= 1;
  }
  return depth;
}

function skipSpace(body: Buffer, from: number): number {
  let at = from;
  for (let byte = body[at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; ) {
    byte = body[++at];
  }
  return at;
}
