// The process that holds one model. It runs no request of its own accord and ends with its parent; whoever wants its
// memory back kills it.
import { writeFile } from 'node:fs/promises';
import { systemClock } from '../../common/clock.ts';
import { AppError, toAppError } from '../../common/errors.ts';
import { headOutputs } from '../onnx/blocks/head.ts';
import { rewardOutputs } from '../onnx/blocks/reward.ts';
import { pack, packTokens } from './batch/pack.ts';
import { unpack } from './batch/unpack.ts';
import { selfTest } from './cuda/self-test.ts';
import { isErrno } from './disk.ts';
import { Engine } from './engine.ts';
import { Feeder } from './feeds.ts';
import { describeSize, type PreparedModel, prepareModel } from './prepare.ts';
import { atBoundedRate } from './progress.ts';
import type { Answer, Call, Calls, Message, Sources } from './protocol.ts';
import { nothingScored, type RewardRow, type ScoredRow, type ScoreRow } from './scoring.ts';
import { Store } from './store/store.ts';

let prepared: PreparedModel | undefined;
let loaded: { engine: Engine; feeder: Feeder; model: PreparedModel } | undefined;
const gone = new AbortController();
/** Until it is written. A front that is gone hears nothing: 'disconnect' ends us. */
const tell = (message: Message) =>
  new Promise<void>((resolve) => void process.send?.(message, undefined, {}, () => resolve()));
const report = atBoundedRate((progress) => void tell({ progress }));

type Params<M extends keyof Calls> = Calls[M]['params'];
type Result<M extends keyof Calls> = Promise<Calls[M]['result']>;

/** Of the cache folder: until the front has its own, which no pass over the model holds up. */
const holds: AsyncDisposable[] = [];

function optionsFor({ cacheDir, cacheBytes, hub }: Sources) {
  const onEvicted = (evictedBytes: number) => tell({ evictedBytes });
  const options = { dir: cacheDir, budgetBytes: cacheBytes, onEvicted };
  const store = new Store({ ...options, clock: systemClock });
  const keep = async (file: string) => void holds.push(await store.hold(file));
  return { cacheDir, hub, report, store, keep };
}

async function prepare({ model, sources, ...options }: Params<'prepare'>): Result<'prepare'> {
  prepared = await prepareModel(model, { ...optionsFor(sources), ...options }, gone.signal);
  return prepared.summary;
}

async function testProvider({ threads }: Params<'selfTest'>): Result<'selfTest'> {
  if (!prepared) throw new AppError('INTERNAL', 'testing before preparing');
  await selfTest(prepared.target, threads);
  return null;
}

async function load({ threads }: Params<'load'>): Result<'load'> {
  if (!prepared) throw new AppError('INTERNAL', 'loading before preparing');
  await Promise.all(holds.splice(0).map((hold) => hold[Symbol.asyncDispose]()));
  const { blueprint, weights, target } = prepared;
  const { provider } = target;
  const engine = await Engine.load(blueprint.graph(weights, target), { threads, provider });
  loaded = { engine, feeder: new Feeder(blueprint.decoder, target), model: prepared };
  return null;
}

async function score(rows: readonly ScoreRow[]): Promise<ScoredRow[]> {
  if (!loaded) throw new AppError('INTERNAL', 'scoring before loading');
  const { engine, feeder, model } = loaded;
  const { vocabularySize } = model.summary;
  const { maxChunkRows } = model;
  const batch = pack(rows, { vocabularySize, maxChunkRows, ...feeder.packing });
  if (!batch) return rows.map(() => nothingScored);
  const results = await engine.run(feeder.scores(batch));
  const scores = {
    logprobs: results.floats(headOutputs.logprobs),
    ranks: results.integers(headOutputs.ranks),
    topIds: results.integers(headOutputs.topIds),
    topLogprobs: results.floats(headOutputs.topLogprobs),
    candidateLogprobs: results.floats(headOutputs.candidateLogprobs),
    entropies: results.floats(headOutputs.entropies),
    normalizers: results.floats(headOutputs.normalizers),
    hidden: results.floats(headOutputs.hidden),
  };
  return unpack(rows, scores, { ...batch, vocabularySize });
}

async function reward(rows: readonly RewardRow[]): Promise<Float32Array[]> {
  if (!loaded) throw new AppError('INTERNAL', 'scoring before loading');
  const { engine, feeder, model } = loaded;
  const { last, ...packed } = packTokens(rows, feeder.packing);
  const feeds = feeder.rewards({ ...packed, last: atLeastTwo(last) });
  const rewards = (await engine.run(feeds)).floats(rewardOutputs.rewards);
  const { length } = model.summary.labels;
  return rows.map((_, r) => rewards.slice(r * length, (r + 1) * length));
}

/** The runtime sums up a row that is alone in another order: with a second one it gets the bits that it has in a batch. */
const atLeastTwo = (last: Int32Array): Int32Array =>
  last.length === 1 ? Int32Array.of(...last, ...last) : last;

function answerTo(call: Call): Promise<Calls[typeof call.method]['result']> {
  if (call.method === 'describe') {
    const { model, sources, provider } = call.params;
    return describeSize(model, { ...optionsFor(sources), provider }, gone.signal);
  }
  if (call.method === 'prepare') return prepare(call.params);
  if (call.method === 'selfTest') return testProvider(call.params);
  if (call.method === 'load') return load(call.params);
  if (call.method === 'score') return score(call.params);
  return reward(call.params);
}

async function serve(call: Call): Promise<void> {
  let answer: Answer;
  try {
    answer = { id: call.id, result: await answerTo(call) };
  } catch (err: unknown) {
    const { code, message } = toAppError(err);
    if (code === 'RUNNER_DIED') endAfter(message);
    answer = { id: call.id, error: { code, message } };
  }
  await tell(answer);
}

/** The device is lost to this process: whoever asked hears that it ended, and the next call starts another. */
function endAfter(message: string): never {
  process.stderr.write(`refmodel runner: ${message}\n`);
  process.exit(1);
}

// The terminal sends these to the whole group: the front drains first, and ends us when it is done.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.on('disconnect', () => process.exit(0));
/** One call after the other: the next one would keep the answer to the last from being written. */
let served = Promise.resolve();
process.on('message', (call: Call) => void (served = served.then(() => serve(call))));
await preferOwnEnd();

/** When memory runs out, the kernel is to end the runner rather than the front. Not every system has, or allows, this. */
async function preferOwnEnd(): Promise<void> {
  try {
    await writeFile('/proc/self/oom_score_adj', '500');
  } catch (err: unknown) {
    if (!isErrno(err, 'ENOENT', 'EACCES', 'EPERM', 'EROFS')) throw err;
  }
}
