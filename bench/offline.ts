// Memory of `refmodel score` by the length of its data set: `node --import tsx bench/offline.ts`.
// Rows of 16 ids through a server of its own whose model costs nothing; the peak is VmHWM of the process that scores.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { writeParquet } from '../server/offline/parquet.ts';
import { BigramModels } from '../test/support/bigram-model.ts';
import { startServerKit } from '../test/support/server-kit.ts';

const rowTokens = 16;
const lengths = [20_000, 80_000];

async function* rowsOf(count: number) {
  for (let r = 0; r < count; r++) {
    yield { input_ids: Array.from({ length: rowTokens }, (_, i) => (r * 31 + i * 7 + 1) % 64) };
  }
}

async function* linesOf(count: number) {
  for await (const row of rowsOf(count)) yield `${JSON.stringify(row)}\n`;
}

const write = (file: string, count: number) =>
  file.endsWith('.parquet')
    ? writeParquet(file, () => rowsOf(count), {})
    : pipeline(Readable.from(linesOf(count)), createWriteStream(file));

/** Peak of the memory that was resident, in MiB, and seconds. */
async function score(url: string, input: string, output: string) {
  const args = ['score', '--model', url, '--input', input, '--output', output];
  const startedMs = performance.now();
  const child = fork(fileURLToPath(new URL('../refmodel.ts', import.meta.url)), args, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let said = '';
  child.stderr?.on('data', (text) => void (said = `${said}${String(text)}`.slice(-500)));
  let peak = 0;
  const timer = setInterval(() => {
    const [, kib = '0'] =
      /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
    peak = Math.max(peak, Number(kib) / 1024);
  }, 100);
  const [code] = await once(child, 'exit').finally(() => clearInterval(timer));
  if (code !== 0) throw new Error(`refmodel score: exit ${String(code)}: ${said}`);
  return { peak, seconds: (performance.now() - startedMs) / 1000 };
}

if (process.argv[2] === 'serve') {
  const kit = await startServerKit({ load: new BigramModels().load });
  process.once('disconnect', () => process.exit());
  process.send?.(kit.url);
} else {
  const folder = mkdtempSync(join(tmpdir(), 'refmodel-bench-'));
  const server = fork(fileURLToPath(import.meta.url), ['serve']);
  const [url] = (await once(server, 'message')) as [string];
  for (const format of ['jsonl', 'parquet']) {
    let first: number | undefined;
    for (const count of lengths) {
      const input = join(folder, `in-${count}.${format}`);
      await write(input, count);
      const { peak, seconds } = await score(url, input, join(folder, `out-${count}.${format}`));
      first ??= peak;
      const ratio = (peak / first).toFixed(2);
      console.log(
        `${format}, ${count} rows: peak ${peak.toFixed(0)} MiB, ${ratio} times the first; ${seconds.toFixed(1)} s`,
      );
    }
  }
  server.disconnect();
  rmSync(folder, { recursive: true });
}
