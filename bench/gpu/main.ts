// A GPU: tokens per second of a server over HTTP and of the graph alone, beside Hugging Face transformers eager and
// under torch.compile, by turns in one run. A line of JSON per figure, ratios at the end.
//
//   node --import tsx bench/gpu/main.ts [--python python3] [--folder /dev/shm/refmodel-bench] [--models 1b,8b]
//     [--only dense,group,mixed,int8,cold,swap,fidelity] [--compile] [--keep] [--swaps 50]
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type CatalogModel, serverState } from '../../server/contract.ts';
import type { ScoreRow } from '../../server/model/scoring.ts';
import { startServerProcess } from '../../test/support/server-process.ts';
import { eightBillion, oneBillion, writeRandomCheckpoint } from '../checkpoint.ts';
import { type Encoding, score } from './client.ts';
import { type Bare, openBare } from './engine.ts';
import { measureFidelity } from './fidelity.ts';
import { countTokens, dense, group, mixed, mixedLengths } from './rows.ts';

const { values: options } = parseArgs({
  options: {
    python: { type: 'string' },
    folder: { type: 'string', default: '/dev/shm/refmodel-bench' },
    models: { type: 'string', default: '1b,8b' },
    only: { type: 'string', default: 'dense,group,mixed,int8,cold,swap,fidelity' },
    compile: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    swaps: { type: 'string', default: '50' },
  },
});
const root = options.folder;
const cacheDir = path.join(root, 'cache');
const wanted = new Set(options.only.split(','));
const shapes = { '1b': oneBillion, '8b': eightBillion } as const;
type Kind = keyof typeof shapes;
const kinds = options.models.split(',').filter((kind): kind is Kind => kind in shapes);
const batches = [
  [1, 512],
  [8, 512],
  [16, 1024],
] as const;
const denseBatches = wanted.has('dense') || wanted.has('int8') ? batches : [];

/** Tokens per second by who, what and which model. */
const speeds = new Map<string, number>();

function tell(figure: Readonly<Record<string, unknown>>): void {
  console.log(JSON.stringify(figure));
}

function tellSpeed(by: string, model: Kind, what: string, tokensPerSecond: number): void {
  speeds.set(`${by} ${model} ${what}`, tokensPerSecond);
  tell({ by, model, what, tokensPerSecond: Math.round(tokensPerSecond) });
}

/** A card that is busy for long slows down: everybody is measured for so long at least. */
const leastSeconds = 1.5;

/** Median seconds of one call, after two that are not counted; three calls or more. */
async function secondsOf(run: () => Promise<unknown>): Promise<number> {
  const found: number[] = [];
  let total = 0;
  for (let i = -2; i < 3 || total < leastSeconds; i++) {
    const startedMs = performance.now();
    await run();
    const seconds = (performance.now() - startedMs) / 1000;
    total += seconds;
    if (i >= 0) found.push(seconds);
  }
  return found.sort((a, b) => a - b)[found.length >> 1] ?? NaN;
}

const entry = (kind: Kind, quantization: CatalogModel['quantization'] = 'None'): CatalogModel => ({
  name: `bench/${kind}-${quantization.toLowerCase()}`,
  source: { volume: { root, path: kind } },
  quantization,
  preload: false,
  maxSequenceTokens: 8192,
  maxBatchTokens: 16_384,
});

/** What the graph alone gives, in this process. */
async function measureBare(kind: Kind): Promise<void> {
  const bare = await openBare(entry(kind), cacheDir);
  try {
    for (const [rows, length] of denseBatches) {
      const asked = dense(rows, length);
      const seconds = await secondsOf(() => bare.score(asked));
      tellSpeed('graph', kind, `${rows}x${length}`, countTokens(asked) / seconds);
    }
    if (wanted.has('group')) await measureSharing(bare, kind);
  } finally {
    await bare.close();
  }
}

async function measureSharing(bare: Bare, kind: Kind): Promise<void> {
  for (const isRagged of [false, true]) {
    const rows = group(isRagged);
    const what = isRagged ? 'ragged group' : 'group';
    for (const isShared of [false, true]) {
      const seconds = await secondsOf(() => bare.score(rows, isShared));
      tellSpeed(isShared ? 'graph' : 'graph, plain', kind, what, countTokens(rows) / seconds);
    }
    const [plain, shared] = [await bare.score(rows, false), await bare.score(rows, true)];
    const isEqual = plain.every((row, r) => row.every((value, i) => value === shared[r]?.[i]));
    tell({ model: kind, what, isSharedEqualToPlain: isEqual });
  }
}

interface Server {
  readonly url: string;
  readonly model: string;
}

async function measureServer(kind: Kind, quantization: CatalogModel['quantization'] = 'None') {
  const model = entry(kind, quantization);
  await using server = await startServerProcess([model], serverEnvironment);
  const at = { url: server.url, model: model.name };
  const startedMs = performance.now();
  await score(at.url, at.model, dense(1, 16), 'safetensors');
  const firstAnswerSeconds = (performance.now() - startedMs) / 1000;
  tell({ model: kind, quantization, firstAnswerSeconds, ...(await sizesOf(server.url)) });
  const by = quantization === 'None' ? 'server' : `server, ${quantization}`;
  for (const [rows, length] of denseBatches)
    await measureOver(at, { by, kind }, dense(rows, length));
  if (quantization !== 'None') return;
  if (wanted.has('dense')) {
    const rows = dense(16, 1024);
    await measureOver(at, { by: 'server, JSON', kind, encoding: 'JSON' }, rows);
  }
  if (wanted.has('group')) {
    const asked = group(false);
    const seconds = await secondsOf(() => score(at.url, at.model, asked, 'safetensors'));
    tellSpeed(by, kind, 'group', countTokens(asked) / seconds);
  }
  if (wanted.has('mixed')) await measureMixed(at, kind);
}

async function sizesOf(url: string) {
  const { models } = serverState.parse(await (await fetch(`${url}/state`)).json());
  const { weightBytes = NaN, memory, seconds, identity } = models[0] ?? {};
  const { parameters = NaN } = identity ?? {};
  return { weightBytes, ofFloat32: weightBytes / (4 * parameters), memory, seconds };
}

/** One request at a time, and two callers, so that one is parsed while the other is computed. */
async function measureOver(
  { url, model }: Server,
  { by, kind, encoding = 'safetensors' }: { by: string; kind: Kind; encoding?: Encoding },
  rows: readonly ScoreRow[],
): Promise<void> {
  const what = `${rows.length}x${rows[0]?.tokens.length}`;
  const one = () => score(url, model, rows, encoding);
  const alone = await secondsOf(one);
  tellSpeed(`${by}, alone`, kind, what, countTokens(rows) / alone);
  const times = Math.max(4, Math.min(40, Math.round(65_536 / countTokens(rows))));
  const caller = async () => {
    for (let i = 0; i < times; i++) await one();
  };
  const startedMs = performance.now();
  await Promise.all([caller(), caller()]);
  const seconds = (performance.now() - startedMs) / 1000;
  tellSpeed(by, kind, what, (2 * times * countTokens(rows)) / seconds);
}

const mixedCallers = 64;
const lengths = mixedLengths(256);

/** 64 callers, each with one row after the other. */
async function measureMixed({ url, model }: Server, kind: Kind): Promise<void> {
  const rows = mixed(lengths);
  const seconds = await secondsOf(async () => {
    const left = [...rows];
    const caller = async () => {
      for (let row = left.pop(); row; row = left.pop())
        await score(url, model, [row], 'safetensors');
    };
    await Promise.all(Array.from({ length: mixedCallers }, caller));
  });
  tellSpeed('server', kind, 'mixed', countTokens(rows) / seconds);
}

/** From a converted file on a RAM disk to the first answer, in a server that is up. */
async function measureCold(kind: Kind): Promise<void> {
  const model = entry(kind, 'Int8');
  for (let i = 0; i < 2; i++) {
    await using server = await startServerProcess([model], serverEnvironment);
    const startedMs = performance.now();
    await score(server.url, model.name, dense(1, 16), 'safetensors');
    const seconds = (performance.now() - startedMs) / 1000;
    if (i > 0) tell({ model: kind, quantization: 'Int8', coldSeconds: seconds });
  }
}

const usedMiB = () =>
  Number(execFileSync('nvidia-smi', ['--query-gpu=memory.used', '--format=csv,noheader,nounits']));

/** A cache of one model, two models by turns. */
async function measureSwap(): Promise<void> {
  const models = [entry('1b'), { ...entry('1b'), name: 'bench/other' }];
  const base = usedMiB();
  const env = { ...serverEnvironment, REFMODEL_MAX_MODELS: '1' };
  await using server = await startServerProcess(models, env);
  const most: number[] = [];
  for (let i = 0; i < Number(options.swaps); i++) {
    const name = models[i % 2]?.name ?? '';
    await score(server.url, name, dense(1, 16), 'safetensors');
    await fetch(`${server.url}/cache/${name}`, { method: 'DELETE' });
    most.push(usedMiB() - base);
  }
  tell({ what: 'swap', times: most.length, leftMiB: Math.max(...most), lastMiB: most.at(-1) });
}

const serverEnvironment = {
  HOME: process.env['HOME'] ?? '',
  LD_LIBRARY_PATH: process.env['LD_LIBRARY_PATH'] ?? '',
  REFMODEL_EXECUTION_PROVIDER: 'CUDA',
  REFMODEL_CACHE_DIR: cacheDir,
  REFMODEL_MEMORY_BYTES: String(64 * 2 ** 30),
  REFMODEL_LOG_LEVEL: 'warn',
};

/** What transformers does of the same work. */
function measureAlternative(by: 'eager' | 'compiled', kind: Kind): void {
  const python = options.python;
  if (!python) return;
  const file = path.join(root, 'mixed.json');
  writeFileSync(file, JSON.stringify(lengths));
  const works = [
    ...denseBatches.map(([rows, length]) => `${rows}x${length}`),
    ...(wanted.has('group') ? ['group'] : []),
    ...(wanted.has('mixed') ? [`mixed=${file}`] : []),
  ];
  const script = path.join(import.meta.dirname, 'alternative.py');
  const text = execFileSync(python, [script, by, kind, ...works], { encoding: 'utf8' });
  for (const line of text.split('\n').filter((line) => line.startsWith('{'))) {
    const told = JSON.parse(line) as { what: string; tokens_per_second?: number };
    if (told.tokens_per_second === undefined) tell(told);
    else tellSpeed(by, kind, told.what, told.tokens_per_second);
  }
}

/** Each of ours divided by each alternative. */
function ratios(): void {
  const whats = [...batches.map(([rows, length]) => `${rows}x${length}`), 'group', 'mixed'];
  console.log('| model | what | server, tokens/s | ÷ eager | ÷ compiled | ÷ graph alone |');
  console.log('|---|---|---|---|---|---|');
  for (const kind of kinds) {
    for (const what of whats) {
      const ours = speeds.get(`server ${kind} ${what}`);
      if (ours === undefined) continue;
      const cells = ['eager', 'compiled', 'graph'].map((by) => {
        const other = speeds.get(`${by} ${kind} ${what}`);
        return other ? (ours / other).toFixed(2) : '–';
      });
      console.log(`| ${[kind, what, Math.round(ours), ...cells].join(' | ')} |`);
    }
  }
}

mkdirSync(cacheDir, { recursive: true });
tell({
  gpu: String(
    execFileSync('nvidia-smi', ['--query-gpu=name,driver_version', '--format=csv,noheader']),
  ).trim(),
});
for (const kind of kinds) {
  writeRandomCheckpoint(path.join(root, kind), shapes[kind]);
  if (['dense', 'group', 'mixed'].some((what) => wanted.has(what))) {
    if (wanted.has('dense') || wanted.has('group')) await measureBare(kind);
    await measureServer(kind);
    measureAlternative('eager', kind);
    if (options.compile) measureAlternative('compiled', kind);
  }
  if (wanted.has('int8')) await measureServer(kind, 'Int8');
  if (wanted.has('cold')) await measureCold(kind);
}
if (wanted.has('swap')) await measureSwap();
if (wanted.has('fidelity')) for (const figure of await measureFidelity(cacheDir)) tell(figure);
ratios();
if (!options.keep) rmSync(root, { recursive: true, force: true });
process.exit(0);
