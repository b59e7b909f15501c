// A model small enough to compute by hand: the next token depends on the last one alone. Loads, dies and closes
// like a real one, without a process.
import { AppError } from '../../common/errors.ts';
import type { CatalogModel } from '../../server/contract.ts';
import { tailsOf } from '../../server/model/batch/tails.ts';
import type {
  Ending,
  LoadModel,
  RewardRow,
  ScoredRow,
  ScoreRow,
  Session,
} from '../../server/model/scoring.ts';
import { volumeOf } from './volume.ts';

export const vocabularySize = 64;

/** Of the tokens that may follow `last`: float64 logits [vocabulary] over a temperature, and their logsumexp. */
function distribution(last: number, temperature: number) {
  const logits = Array.from(
    { length: vocabularySize },
    (_, id) => (4 * Math.sin(last * 7.3 + id * 1.7)) / temperature,
  );
  const normalizer = Math.log(logits.reduce((total, logit) => total + Math.exp(logit), 0));
  return { logprobs: Float32Array.from(logits, (logit) => logit - normalizer), normalizer };
}

/** Scores of the tokens that may follow `last`, float32 log-probs [vocabulary]. */
export const bigram = (last: number, temperature = 1): Float32Array =>
  distribution(last, temperature).logprobs;

export function scoreRow(row: ScoreRow): ScoredRow {
  const { tokens, positions, wantsNext = false, topK = 0, temperature = 1, candidates } = row;
  const k = topK > 0 ? Math.min(topK, vocabularySize) : Number(wantsNext);
  const asked = [...positions, ...(wantsNext ? [tokens.length] : [])].map((position, i) => {
    const last = tokens[position - 1] ?? 0;
    const { logprobs, normalizer } = distribution(last, temperature);
    const order = Array.from(logprobs.keys()).sort((a, b) => logprobs[b]! - logprobs[a]!);
    const logprob = logprobs[tokens[position] ?? order[0]!]!;
    const width = candidates?.width ?? 0;
    return {
      logprob,
      normalizer,
      rank: 1 + logprobs.filter((other) => other > logprob).length,
      tops: order.slice(0, k),
      topLogprobs: order.slice(0, k).map((id) => logprobs[id]!),
      besides: Array.from({ length: width }, (_, c) => {
        return logprobs[candidates?.ids[i * width + c] ?? -1] ?? NaN;
      }),
      entropy: -logprobs.reduce((sum, value) => sum + Math.exp(value) * value, 0),
      hidden: hiddenOf(last),
    };
  });
  const floats = (wants: boolean | undefined, of: (value: (typeof asked)[0]) => number[]) =>
    Float32Array.from(wants ? asked.flatMap(of) : []);
  const shown = {
    logprobs: floats(true, ({ logprob }) => [logprob]),
    ranks: Int32Array.from(row.wantsRanks ? asked.map(({ rank }) => rank) : []),
    topIds: Int32Array.from(asked.flatMap(({ tops }) => tops)),
    topLogprobs: floats(true, ({ topLogprobs }) => topLogprobs),
    k,
    candidateLogprobs: floats(true, ({ besides }) => besides),
    entropies: floats(row.wantsEntropies, ({ entropy }) => [entropy]),
    normalizers: floats(row.wantsNormalizers, ({ normalizer }) => [normalizer]),
    hidden: floats(row.wantsHidden, ({ hidden }) => hidden),
  };
  return { ...shown, tails: row.wantsTails ? tailsOf(shown, candidates) : new Float32Array() };
}

/** What the model knows of a position, [2]. */
const hiddenOf = (last: number): number[] => [last, 1];

/** Every token counts, the last one most: float32 [labels]. */
export const rewardRow = ({ tokens }: RewardRow, labels: number): Float32Array =>
  Float32Array.from({ length: labels }, (_, label) =>
    tokens.reduce((sum, id) => 0.7 * sum + Math.sin(id + label), 0),
  );

export interface BigramSession extends Session {
  /** Ends by itself, as a crashed process does. */
  die(): void;
  /** Rows of every pass. */
  readonly passes: number[];
  readonly isOpen: boolean;
}

export interface BigramOptions {
  weightBytes?: number;
  contextTokens?: number;
  folder?: string;
  /** Makes it a reward model. */
  labels?: readonly string[];
  fidelity?: Session['fidelity'];
}

/** A loader, and what it did. */
export class BigramModels {
  readonly sessions: BigramSession[] = [];
  /** Names, in order. */
  readonly loads: string[] = [];
  /** Loads wait for it. */
  gate: Promise<void> = Promise.resolve();
  /** Passes wait for it. */
  passGate: Promise<void> = Promise.resolve();
  /** Loads fail with it. */
  failure: AppError | undefined;
  readonly #options: BigramOptions;

  constructor(options: BigramOptions = {}) {
    this.#options = options;
  }

  readonly load: LoadModel = async (model, { admit, reserve, signal }) => {
    this.loads.push(model.name);
    await this.gate;
    signal.throwIfAborted();
    if (this.failure) throw this.failure;
    const session = this.#session(model);
    admit(session.memory);
    await reserve(session.memory);
    this.sessions.push(session);
    return session;
  };

  #session(model: CatalogModel): BigramSession {
    const { weightBytes = 1000, contextTokens = 128, folder = '/nowhere' } = this.#options;
    const { labels = [], fidelity } = this.#options;
    let isOpen = true;
    let end = () => {};
    const ended = new Promise<Ending>((resolve) => {
      end = () => {
        isOpen = false;
        resolve({ how: 'Crashed', detail: 'it ended' });
      };
    });
    const passes: number[] = [];
    const pass = async <Row, Result>(rows: readonly Row[], compute: (row: Row) => Result) => {
      passes.push(rows.length);
      await Promise.race([this.passGate, ended]);
      if (!isOpen) throw new AppError('RUNNER_DIED', 'scoring: the model ended');
      return rows.map(compute);
    };
    return {
      identity: {
        revision: `revision-of-${model.name}`,
        digest: 'sha256:0',
        architecture: 'Bigram',
        quantization: model.quantization,
        task: labels.length > 0 ? 'Reward' : 'LogProbs',
        parameters: 0,
        contextTokens,
      },
      vocabularySize,
      hiddenSize: hiddenOf(0).length,
      labels,
      ...(fidelity && { fidelity }),
      weightBytes,
      memory: { host: weightBytes, device: 0 },
      folder: volumeOf(folder),
      pid: process.pid,
      passes,
      get isOpen() {
        return isOpen;
      },
      score: (rows) => pass(rows, scoreRow),
      reward: (rows) => pass(rows, (row) => rewardRow(row, labels.length)),
      ended,
      die: () => end(),
      close: async () => end(),
    };
  }
}
