// What models read when they are calibrated and compared: a shipped text in the model's own tokens.
import type { Blueprint } from '../../onnx/arch/blueprint.ts';
import { calibrationText } from '../../quant/calibration.ts';
import type { VolumePath } from '../checkpoint/inside.ts';
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
/** A reward model is compared once a row, so its rows are many and short. */
const rowTokens = { LogProbs: 256, Reward: 32 } as const;
const pieceCharacters = 1000;

/** Without a tokenizer that fits the model, the probe is tokens at random, the same at each call. */
export async function readingsFor(
  folder: VolumePath,
  blueprint: Pick<Blueprint, 'task' | 'vocabularySize' | 'contextTokens' | 'tensors'>,
): Promise<Readings> {
  const { vocabularySize, contextTokens, tensors } = blueprint;
  const lengthOf = (task: Blueprint['task']) => Math.min(rowTokens[task], contextTokens);
  const probeLength = lengthOf(blueprint.task);
  const tokenizer = await readTokenizer(folder).catch(() => undefined);
  const rows = tokenizer
    ? piecesOf(calibrationText).map((piece) => Int32Array.from(tokenizer.encode(piece).ids))
    : [];
  const isKnown = (id: number) => id < vocabularySize;
  if (rows.length === 0 || !rows.every((row) => row.every(isKnown))) {
    return { calibration: [], probe: randomRows(vocabularySize, probeLength) };
  }
  const { most, least } = calibrationTokens;
  const affordable = Math.floor(calibrationWork / countParameters(tensors));
  const tokens = Math.min(most, Math.max(least, affordable));
  const { taken, left } = spread(cut(rows, probeLength), probeTokens);
  const others = cut(
    left.map((at) => rows[at] ?? new Int32Array()),
    lengthOf('LogProbs'),
  );
  return {
    calibration: spread(others, tokens).taken,
    probe: taken,
  };
}

const cut = (rows: readonly Int32Array[], length: number): Int32Array[] =>
  rows.map((row) => row.subarray(0, length));

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

/** About so many tokens in whole rows from everywhere in the text, and the numbers of the rows that are left. */
function spread(
  rows: readonly Int32Array[],
  tokens: number,
): { taken: Int32Array[]; left: number[] } {
  const total = rows.reduce((sum, row) => sum + row.length, 0);
  const taken: Int32Array[] = [];
  const left: number[] = [];
  let seen = 0;
  let count = 0;
  for (const [at, row] of rows.entries()) {
    seen += row.length;
    const isDue = count < tokens && count * total < seen * tokens;
    if (isDue) taken.push(row);
    else left.push(at);
    if (isDue) count += row.length;
  }
  return { taken, left };
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
