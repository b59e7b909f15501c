// Tokens per second on this machine's processor: unquantized and Int8 against transformers in float32, by turns in one
// run, for a random model of 1 B parameters and for the shipped one; load times; prompts that are shared.
//
//   node --import tsx bench/cpu.ts [--python <python with torch and transformers>] [--layers 16] [--rounds 3]
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { silentLogger } from '../common/log.ts';
import type { CatalogModel } from '../server/contract.ts';
import { createLoader } from '../server/model/load.ts';
import { positionsFrom, type ScoreRow, type Session } from '../server/model/scoring.ts';
import { roomForAll } from '../test/support/engine-kit.ts';
import { oneBillion, writeRandomCheckpoint } from './checkpoint.ts';

const { values: options } = parseArgs({
  options: {
    python: { type: 'string' },
    layers: { type: 'string', default: '16' },
    rounds: { type: 'string', default: '3' },
    quantizations: { type: 'string', default: 'None,Int8' },
  },
});
const rounds = Number(options.rounds);
const threads = availableParallelism();
const folder = join(tmpdir(), 'refmodel-bench');
const cacheDir = join(folder, 'cache');
mkdirSync(cacheDir, { recursive: true });
const load = createLoader({ cacheDir, threads, log: silentLogger });

const batches = [
  { rows: 1, tokens: 512 },
  { rows: 8, tokens: 512 },
];

let seed = 1;
function draw(bound: number): number {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((seed / 2 ** 32) * bound);
}
const rowOf = (tokens: readonly number[]): ScoreRow => ({
  tokens: Int32Array.from(tokens),
  positions: positionsFrom(1, tokens.length),
});
const tokensAtRandom = (count: number, vocabulary: number) =>
  Array.from({ length: count }, () => draw(vocabulary));

async function secondsOf(session: Session, rows: readonly ScoreRow[]): Promise<number> {
  const startedMs = performance.now();
  await session.score(rows);
  return (performance.now() - startedMs) / 1000;
}

/** Something that scores a batch and says how long it took. */
interface Contender {
  readonly name: string;
  readonly pass: (rows: number, tokens: number) => Promise<number>;
  readonly close: () => Promise<void>;
}

async function ours(root: string, path: string, quantization: CatalogModel['quantization']) {
  const model: CatalogModel = {
    name: `bench/${path}`,
    source: { volume: { root, path } },
    quantization,
    preload: false,
    maxSequenceTokens: 8192,
    maxBatchTokens: 16_384,
  };
  await (await load(model, roomForAll)).close(); // converts, and fills the page cache
  const startedMs = performance.now();
  const session = await load(model, roomForAll);
  const loadSeconds = (performance.now() - startedMs) / 1000;
  const contender: Contender = {
    name: quantization,
    pass: (rows, tokens) => {
      const { vocabularySize } = session;
      const batch = Array.from({ length: rows }, () =>
        rowOf(tokensAtRandom(tokens, vocabularySize)),
      );
      return secondsOf(session, batch);
    },
    close: () => session.close(),
  };
  const first = await contender.pass(1, 16);
  console.log(
    `${path} ${quantization}: ${(session.weightBytes / 2 ** 20).toFixed(0)} MiB of weights, ` +
      `load ${loadSeconds.toFixed(2)} s, first answer ${first.toFixed(2)} s later` +
      (session.fidelity?.kl === undefined ? '' : `, mean KL ${session.fidelity.kl.toPrecision(3)}`),
  );
  return { contender, session };
}

async function transformers(python: string, model: string): Promise<Contender> {
  const script = join(import.meta.dirname, 'transformers_baseline.py');
  const child: ChildProcess = spawn(python, [script, model, String(threads)], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  await lines.next();
  return {
    name: 'transformers',
    async pass(rows, tokens) {
      child.stdin?.write(`${rows} ${tokens}\n`);
      return Number((await lines.next()).value);
    },
    close: async () => void child.kill(),
  };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

async function race(contenders: readonly Contender[]): Promise<void> {
  for (const { rows, tokens } of batches) {
    const seconds = contenders.map((): number[] => []);
    for (let turn = 0; turn < (rounds + 1) * contenders.length; turn++) {
      const at = turn % contenders.length;
      const taken = (await contenders[at]?.pass(rows, tokens)) ?? Number.NaN;
      if (turn >= contenders.length) seconds[at]?.push(taken); // the first round is warm-up
    }
    const last = seconds.at(-1) ?? [];
    const cells = contenders.map(({ name }, at) => {
      const own = seconds[at] ?? [];
      const ratio = median(own.map((value, round) => (last[round] ?? Number.NaN) / value));
      const speed = (rows * tokens) / median(own);
      return `${name} ${speed.toFixed(0)} tokens/s (${ratio.toFixed(2)})`;
    });
    console.log(`  ${rows} × ${tokens}: ${cells.join(' · ')}`);
  }
}

/** A group of completions of one prompt, and as many rows that have nothing in common. */
async function shareds(session: Session, size: number, half: number): Promise<void> {
  const { vocabularySize } = session;
  const prompt = tokensAtRandom(half, vocabularySize);
  const completion = () => tokensAtRandom(half, vocabularySize);
  const group = () => Array.from({ length: size }, () => rowOf([...prompt, ...completion()]));
  const plain = () => Array.from({ length: size }, () => rowOf([...completion(), ...completion()]));
  const onlyCompletions = (rows: readonly ScoreRow[]): ScoreRow[] =>
    rows.map(({ tokens }) => ({ tokens, positions: positionsFrom(half, tokens.length) }));
  const gains: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const alone = await secondsOf(session, onlyCompletions(plain()));
    const shared = await secondsOf(session, onlyCompletions(group()));
    gains.push(alone / shared);
  }
  console.log(`  G = ${size}, ${half} + ${half}: ${median(gains).toFixed(2)} times the plain way`);
}

async function bench(root: string, path: string): Promise<void> {
  const opened = [];
  for (const name of ['None', 'Int8', 'Int4', 'NF4'] as const) {
    if (options.quantizations.split(',').includes(name)) opened.push(await ours(root, path, name));
  }
  const contenders = opened.map(({ contender }) => contender);
  if (options.python) contenders.push(await transformers(options.python, join(root, path)));
  await race(contenders);
  const [first] = opened;
  if (first) await shareds(first.session, 16, 512);
  await Promise.all(contenders.map(({ close }) => close()));
}

const large = { ...oneBillion, layers: Number(options.layers) };
const name = `random-${large.layers}-layers`;
writeRandomCheckpoint(join(folder, name), large);
console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${threads} threads; ratios to the last`);
if (!options.python) console.log('no --python: transformers is left out');
await bench('examples/models', 'tiny-python-llama');
await bench(folder, name);
