// What models read when they are calibrated and compared: a shipped text in the model's own tokens.
import type { Blueprint } from '../../onnx/arch/blueprint.ts';
import { calibrationText } from '../../quant/calibration.ts';
import { countParameters } from '../checkpoint/tensors.ts';
import { readTokenizer } from '../checkpoint/tokenizer.ts';

export interface Readings {
  /** Rows that decide how weights are rounded. Empty without a tokenizer. */
  readonly calibration: readonly Int32Array[];
  /** Other rows, on which the rounded model is compared. */
  readonly probe: readonly Int32Array[];
}

/** Tokens to calibrate on, for models of up to 300 million parameters; larger ones get fewer, since each takes longer. */
const calibrationTokens = { most: 32_768, least: 4096 };
const calibrationWork = 1e13;
const probeTokens = 1024;
const rowTokens = 256;
const pieceCharacters = 1200;

/** Without a tokenizer that fits the model, the probe is tokens at random, the same at each call. */
export async function readingsFor(
  folder: string,
  blueprint: Pick<Blueprint, 'vocabularySize' | 'contextTokens' | 'tensors'>,
): Promise<Readings> {
  const { vocabularySize, contextTokens, tensors } = blueprint;
  const length = Math.min(rowTokens, contextTokens);
  const tokenizer = await readTokenizer(folder).catch(() => undefined);
  const rows = tokenizer
    ? piecesOf(calibrationText).map((piece) => Int32Array.from(tokenizer.encode(piece).ids))
    : [];
  const isKnown = (id: number) => id < vocabularySize;
  if (rows.length === 0 || !rows.every((row) => row.every(isKnown))) {
    return { calibration: [], probe: randomRows(vocabularySize, length) };
  }
  const cut = rows.map((row) => row.subarray(0, length)).toReversed();
  const probe = take(cut, probeTokens);
  const { most, least } = calibrationTokens;
  const affordable = Math.floor(calibrationWork / countParameters(tensors));
  const tokens = Math.min(most, Math.max(least, affordable));
  return { calibration: take(cut.slice(probe.length), tokens), probe };
}

/** Whole paragraphs, about as long as a row. */
function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  let piece = '';
  for (const paragraph of text.split(/(?<=\n\n)/)) {
    piece += paragraph;
    if (piece.length < pieceCharacters) continue;
    pieces.push(piece);
    piece = '';
  }
  return piece === '' ? pieces : [...pieces, piece];
}

/** The first rows, until they have `tokens`. */
function take(rows: readonly Int32Array[], tokens: number): Int32Array[] {
  let count = 0;
  const end = rows.findIndex((row) => (count += row.length) >= tokens);
  return rows.slice(0, end < 0 ? rows.length : end + 1);
}

function randomRows(vocabularySize: number, length: number): Int32Array[] {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocabularySize);
  };
  const count = Math.ceil(probeTokens / length);
  return Array.from({ length: count }, () => Int32Array.from({ length }, next));
}
