// Tokens per second of the shipped model through a runner: 8-bit blocks against unquantized, in turn, in one run.
// Ratios count; the absolute figures are those of a small model on the machine that the first line names.
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../common/log.ts';
import type { Quantization } from '../crds/reference-model.ts';
import { createLoader } from '../server/model/load.ts';
import type { ScoreRow, Session } from '../server/model/scoring.ts';

const rounds = 7;
const shapes = [
  { rows: 1, tokens: 512 },
  { rows: 8, tokens: 256 },
  { rows: 16, tokens: 1024 },
];

const row = (tokens: number, vocabulary: number): ScoreRow => ({
  tokens: Int32Array.from({ length: tokens }, (_, i) => (i * 7919 + 1) % vocabulary),
  scoreFrom: 1,
  wantsNext: false,
  topK: 0,
});

async function tokensPerSecond(session: Session, shape: (typeof shapes)[number]): Promise<number> {
  const rows = Array.from({ length: shape.rows }, () => row(shape.tokens, session.vocabularySize));
  const start = performance.now();
  await session.score(rows);
  return (shape.rows * shape.tokens * 1000) / (performance.now() - start);
}

const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

const cacheDir = mkdtempSync(join(tmpdir(), 'refmodel-bench-'));
const load = createLoader({ cacheDir, threads: availableParallelism(), log: silentLogger });
const open = (quantization: Quantization) =>
  load(
    {
      name: 'bench/tiny-python-llama',
      source: { volume: { root: 'examples/models', path: 'tiny-python-llama' } },
      quantization,
      preload: false,
      maxSequenceTokens: 1024,
      maxBatchTokens: 16_384,
    },
    { reserve: async () => {}, signal: new AbortController().signal },
  );

console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} threads`);
const plain = await open('None');
const int8 = await open('Int8');
console.log('| rows × tokens | None, tokens/s | Int8, tokens/s | Int8 ÷ None, median of pairs |');
console.log('|---|---|---|---|');
for (const shape of shapes) {
  const pairs: [number, number][] = [];
  for (let i = 0; i <= rounds; i++) {
    const pair: [number, number] = [
      await tokensPerSecond(plain, shape),
      await tokensPerSecond(int8, shape),
    ];
    if (i > 0) pairs.push(pair); // the first is warm-up
  }
  const [none, eight] = [median(pairs.map(([a]) => a)), median(pairs.map(([, b]) => b))];
  const ratio = median(pairs.map(([a, b]) => b / a)).toFixed(2);
  console.log(
    `| ${shape.rows} × ${shape.tokens} | ${none.toFixed(0)} | ${eight.toFixed(0)} | ${ratio} |`,
  );
}
console.log(`weights: Int8 ÷ None = ${(int8.weightBytes / plain.weightBytes).toFixed(2)}`);
await Promise.all([plain.close(), int8.close()]);
rmSync(cacheDir, { recursive: true });
