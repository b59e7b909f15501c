// The process that holds one model: the only file that imports onnxruntime-node. It runs no request of its own accord
// and ends with its parent; whoever wants its memory back kills it.
import { writeFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { AppError, toAppError } from '../../common/errors.ts';
import { tokensInput } from '../onnx/arch/blueprint.ts';
import { headInputs, headOutputs } from '../onnx/blocks/head.ts';
import { isErrno } from './disk.ts';
import { type Batch, chunkRowsFor, pack, type Scores, unpack } from './pack.ts';
import { type PreparedModel, prepareModel } from './prepare.ts';
import type { Answer, Call, Calls } from './protocol.ts';
import type { ScoredRow, ScoreRow } from './scoring.ts';

let prepared: PreparedModel | undefined;
let session: InferenceSession | undefined;
const gone = new AbortController();

async function prepare({
  model,
  cacheDir,
}: Calls['prepare']['params']): Promise<Calls['prepare']['result']> {
  prepared = await prepareModel(model, cacheDir, gone.signal);
  return prepared.summary;
}

async function load({ threads }: Calls['load']['params']): Promise<Calls['load']['result']> {
  if (!prepared) throw new AppError('INTERNAL', 'loading before preparing');
  const startedAt = performance.now();
  try {
    session = await InferenceSession.create(prepared.encode(), sessionOptions(threads));
    await score([{ tokens: Int32Array.of(0, 0), scoreFrom: 1, wantsNext: true, topK: 0 }]);
  } catch (err: unknown) {
    throw loadError(err);
  }
  return { seconds: (performance.now() - startedAt) / 1000 };
}

const sessionOptions = (threads: number): InferenceSession.SessionOptions => ({
  executionProviders: ['cpu'],
  // Folds the casts of 16-bit weights; the operators are fused as they are written.
  graphOptimizationLevel: 'basic',
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  enableMemPattern: false,
  logSeverityLevel: 3,
  extra: {
    session: {
      // Paths of weights are checked in source.ts, links resolved; the runtime sees them relative to this.
      model_external_initializers_file_folder_path: '/',
      // Packed weights run no faster here, take twice as long to load, and are copies of what lies in the page cache.
      disable_prepacking: '1',
      // Several runners share the cores: a pool that spins takes them from its neighbours.
      intra_op: { allow_spinning: '0' },
    },
  },
});

function loadError(err: unknown): AppError {
  if (err instanceof AppError) return err;
  const message = err instanceof Error ? err.message : String(err);
  const isMemory = /bad_alloc|failed to allocate|out of memory/i.test(message);
  return new AppError(isMemory ? 'OUT_OF_MEMORY' : 'LOAD_FAILED', message, { cause: err });
}

async function score(rows: readonly ScoreRow[]): Promise<ScoredRow[]> {
  if (!prepared || !session) throw new AppError('INTERNAL', 'scoring before loading');
  const { vocabularySize } = prepared.summary;
  const maxChunkRows = chunkRowsFor(vocabularySize);
  const batch = pack(rows, { vocabularySize, maxChunkRows });
  const scores = batch ? await run(session, batch) : noScores;
  return unpack(rows, scores, { topK: batch?.topK ?? 0, vocabularySize });
}

const noScores: Scores = {
  logprobs: new Float32Array(),
  ranks: new Int32Array(),
  topIds: new Int32Array(),
  topLogprobs: new Float32Array(),
};

async function run(session: InferenceSession, batch: Batch): Promise<Scores> {
  const outputs = await session.run({
    [tokensInput.name]: new Tensor('int32', batch.tokens, batch.shape),
    [headInputs.positions.name]: new Tensor('int32', batch.positions, batch.scoredShape),
    [headInputs.targets.name]: new Tensor('int32', batch.targets, batch.scoredShape),
    [headInputs.topK.name]: new Tensor('int64', BigInt64Array.of(BigInt(batch.topK)), [1]),
  });
  return {
    logprobs: floats(outputs[headOutputs.logprobs.name]),
    ranks: integers(outputs[headOutputs.ranks.name]),
    topIds: integers(outputs[headOutputs.topIds.name]),
    topLogprobs: floats(outputs[headOutputs.topLogprobs.name]),
  };
}

function floats(output: Tensor | undefined): Float32Array {
  if (output?.data instanceof Float32Array) return output.data;
  throw new AppError('INTERNAL', `the graph gave ${output?.type}, not float32`);
}

function integers(output: Tensor | undefined): Int32Array {
  if (output?.data instanceof Int32Array) return output.data;
  throw new AppError('INTERNAL', `the graph gave ${output?.type}, not int32`);
}

function answerTo(call: Call): Promise<Calls[typeof call.method]['result']> {
  if (call.method === 'prepare') return prepare(call.params);
  if (call.method === 'load') return load(call.params);
  return score(call.params);
}

async function serve(call: Call): Promise<void> {
  let answer: Answer;
  try {
    answer = { id: call.id, result: await answerTo(call) };
  } catch (err: unknown) {
    const { code, message } = toAppError(err);
    answer = { id: call.id, error: { code, message } };
  }
  process.send?.(answer);
}

// The terminal sends these to the whole group: the front drains first, and ends us when it is done.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.on('disconnect', () => process.exit(0));
process.on('message', (call: Call) => void serve(call));
await preferOwnEnd();

/** When memory runs out, the kernel is to end the runner rather than the front. Not every system has, or allows, this. */
async function preferOwnEnd(): Promise<void> {
  try {
    await writeFile('/proc/self/oom_score_adj', '500');
  } catch (err: unknown) {
    if (!isErrno(err, 'ENOENT', 'EACCES', 'EPERM', 'EROFS')) throw err;
  }
}
