// Loading models in tests: a loader over a temporary cache folder, sessions that end with the test.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { silentLogger } from '../../common/log.ts';
import type { CatalogModel } from '../../server/contract.ts';
import { createLoader } from '../../server/model/load.ts';
import {
  type LoadSteps,
  positionsFrom,
  type ScoreRow,
  type Session,
} from '../../server/model/scoring.ts';
import type { Provider } from '../../server/onnx/target.ts';

export const neverAborted = new AbortController().signal;
export const goldenRoot = path.resolve(import.meta.dirname, '../golden');
export const exampleRoot = path.resolve(import.meta.dirname, '../../examples/models');

export function catalogModel(changes: Partial<CatalogModel> = {}): CatalogModel {
  return {
    name: 'default/model',
    source: { volume: { root: goldenRoot, path: 'llama' } },
    quantization: 'None',
    preload: false,
    maxSequenceTokens: 1024,
    maxBatchTokens: 16_384,
    ...changes,
  };
}

/** Steps of a load that is alone on a machine without end. */
export const roomForAll: LoadSteps = {
  admit: () => {},
  reserve: () => Promise.resolve(),
  report: () => {},
  onDiskEvicted: () => {},
  signal: neverAborted,
};

/** Loads, calls `use`, closes. Default: on the CPU. */
export async function withSession(
  cacheDir: string,
  { provider, ...changes }: Partial<CatalogModel> & { provider?: Provider },
  use: (session: Session) => Promise<void>,
): Promise<void> {
  const load = createLoader({ cacheDir, threads: 1, provider, log: silentLogger });
  const session = await load(catalogModel(changes), roomForAll);
  try {
    await use(session);
  } finally {
    await session.close();
  }
}

/** A row that asks for the log-probability of every token but the first. */
export const scoreAll = (tokens: Iterable<number>, changes: Partial<ScoreRow> = {}): ScoreRow =>
  scoreFrom(1, tokens, changes);

/** The same of every token from position `from` on. */
export function scoreFrom(
  from: number,
  tokens: Iterable<number>,
  changes: Partial<ScoreRow> = {},
): ScoreRow {
  const row = Int32Array.from(tokens);
  return { tokens: row, positions: positionsFrom(from, row.length), ...changes };
}

export interface GoldenRow {
  input_ids: number[];
  /** Of token i + 1. */
  log_probs: number[];
  last_top3?: { ids: number[]; log_probs: number[] };
}

export interface GoldenScores {
  input_ids: number[];
  scores: number[];
}

const readGolden = <R>(folder: string): R[] =>
  (JSON.parse(readFileSync(path.join(folder, 'golden.json'), 'utf8')) as { rows: R[] }).rows;

export const goldenRows = (folder: string): GoldenRow[] => readGolden(folder);

/** Of a reward model. */
export const goldenScores = (folder: string): GoldenScores[] => readGolden(folder);
