// A model small enough to compute by hand: the next token depends on the last one alone. Loads, dies and closes
// like a real one, without a process.
import { AppError } from '../../common/errors.ts';
import type { CatalogModel } from '../../server/contract.ts';
import type { LoadModel, ScoredRow, ScoreRow, Session } from '../../server/model/scoring.ts';

export const vocabularySize = 64;

/** Scores of the tokens that may follow `last`, float32 log-probs [vocabulary]. */
export function bigram(last: number): Float32Array {
  const logits = Array.from(
    { length: vocabularySize },
    (_, id) => 4 * Math.sin(last * 7.3 + id * 1.7),
  );
  const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
  return Float32Array.from(logits, (logit) => logit - Math.log(sum));
}

export function scoreRow(row: ScoreRow): ScoredRow {
  const { tokens, scoreFrom, wantsNext, topK } = row;
  const k = topK > 0 ? Math.min(topK, vocabularySize) : Number(wantsNext);
  const values = {
    logprobs: [] as number[],
    ranks: [] as number[],
    topIds: [] as number[],
    topLogprobs: [] as number[],
  };
  const end = tokens.length + Number(wantsNext);
  for (let position = scoreFrom; position < end; position++) {
    const all = bigram(tokens[position - 1] ?? 0);
    const order = Array.from(all.keys()).sort((a, b) => (all[b] ?? 0) - (all[a] ?? 0));
    const id = tokens[position] ?? order[0] ?? 0;
    values.logprobs.push(all[id] ?? 0);
    if (k === 0) continue;
    values.ranks.push(1 + all.filter((logprob) => logprob > (all[id] ?? 0)).length);
    values.topIds.push(...order.slice(0, k));
    values.topLogprobs.push(...order.slice(0, k).map((other) => all[other] ?? 0));
  }
  return {
    logprobs: Float32Array.from(values.logprobs),
    ranks: Int32Array.from(values.ranks),
    topIds: Int32Array.from(values.topIds),
    topLogprobs: Float32Array.from(values.topLogprobs),
    k,
  };
}

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

  readonly load: LoadModel = async (model, { reserve, signal }) => {
    this.loads.push(model.name);
    await this.gate;
    signal.throwIfAborted();
    if (this.failure) throw this.failure;
    const session = this.#session(model);
    await reserve(session.weightBytes);
    this.sessions.push(session);
    return session;
  };

  #session(model: CatalogModel): BigramSession {
    const { weightBytes = 1000, contextTokens = 128, folder = '/nowhere' } = this.#options;
    let isOpen = true;
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = () => {
        isOpen = false;
        resolve();
      };
    });
    const passes: number[] = [];
    return {
      identity: {
        revision: `revision-of-${model.name}`,
        digest: 'sha256:0',
        architecture: 'Bigram',
        quantization: model.quantization,
        task: 'LogProbs',
        parameters: 0,
        contextTokens,
      },
      vocabularySize,
      weightBytes,
      seconds: { convert: 0, load: 0 },
      folder,
      passes,
      get isOpen() {
        return isOpen;
      },
      score: async (rows) => {
        passes.push(rows.length);
        await Promise.race([this.passGate, ended]);
        if (!isOpen) throw new AppError('RUNNER_DIED', 'scoring: the model ended');
        return rows.map(scoreRow);
      },
      ended,
      die: () => end(),
      close: async () => end(),
    };
  }
}
