// Fields that are no tensors, in formats that have only texts for them.
import { AppError } from '../../../common/errors.ts';

/** They are taken as they stand; every other field is JSON. */
const texts = new Set(['model', 'revision', 'request_id', 'tokenizer_digest', 'align']);

/** Throws MALFORMED_BODY. */
export function scalarField(name: string, text: string): unknown {
  if (texts.has(name)) return text;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('MALFORMED_BODY', `reading ${name}: "${text.slice(0, 100)}" is not JSON`, {
      cause,
    });
  }
}
