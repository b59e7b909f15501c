// Loads and unloads a model again and again through cache, loader and runner processes, and looks at what stays behind
// in the front: `node --expose-gc --import tsx bench/cycles.ts [cycles]`. Fails when memory grows by more than 2 %.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../common/clock.ts';
import { silentLogger } from '../common/log.ts';
import { ModelCache } from '../server/model/cache/model-cache.ts';
import { createLoader } from '../server/model/load.ts';
import { catalogModel, neverAborted, scoreAll } from '../test/support/engine-kit.ts';
import { runnersOf } from '../test/support/server-process.ts';

const cycles = Number(process.argv[2] ?? 1000);
/** Memory is compared from here on: by then every code path has run and been compiled. */
const warmUp = cycles / 5;
const largestGrowth = 0.02;

const cacheDir = mkdtempSync(join(tmpdir(), 'refmodel-bench-'));
const cache = new ModelCache({
  load: createLoader({ cacheDir, threads: 1, log: silentLogger }),
  limits: { maxModels: 2, memory: { host: 2 ** 30, device: 0 } },
  loadTimeoutMs: 60_000,
  roomTimeoutMs: 60_000,
  clock: systemClock,
  log: silentLogger,
  observer: {
    onLookup: () => {},
    onLoad: () => {},
    onPhase: () => {},
    onEvict: () => {},
    onDiskEvicted: () => {},
    onDeath: () => {},
  },
  shutdown: neverAborted,
});

async function cycle(name: string): Promise<void> {
  {
    using lease = await cache.acquire(catalogModel({ name }), neverAborted);
    await lease.value.score([scoreAll([1, 2, 3])]);
  }
  await cache.remove(name);
}

function look() {
  globalThis.gc?.();
  return {
    residentMiB: process.memoryUsage.rss() / 2 ** 20,
    descriptors: readdirSync('/proc/self/fd').length,
    runners: runnersOf(process.pid).length,
  };
}

console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} threads`);
if (!globalThis.gc) console.log('without --expose-gc: memory is taken as it is');
let warm = look();
let last = warm;
const startedMs = performance.now();
for (let done = 0; done < cycles; done += 2) {
  await Promise.all([cycle('bench/a'), cycle('bench/b')]);
  if (done + 2 === warmUp) warm = look();
  if ((done + 2) % (cycles / 10) === 0) {
    last = look();
    console.log(
      `${done + 2}: ${last.residentMiB.toFixed(1)} MiB, ${last.descriptors} descriptors, ${last.runners} runners`,
    );
  }
}
await cache.close();
rmSync(cacheDir, { recursive: true });

const growth = last.residentMiB / warm.residentMiB - 1;
console.log(`${((performance.now() - startedMs) / cycles).toFixed(0)} ms per cycle, two at a time`);
console.log(`memory ${(100 * growth).toFixed(2)} % since cycle ${warmUp}`);
const hasLeft = last.descriptors > warm.descriptors || last.runners > 0;
process.exitCode = growth > largestGrowth || hasLeft ? 1 : 0;
