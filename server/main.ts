// The server process: one pod of a pool, or one child of the local backend.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { systemClock } from '../common/clock.ts';
import { parseConfig } from '../common/config.ts';
import { run } from '../common/lifecycle.ts';
import { createLogger, type Logger } from '../common/log.ts';
import { startTracing } from '../common/tracing.ts';
import { memoryLimits, serverConfig } from './config.ts';
import type { ServerListening } from './contract.ts';
import { Device } from './model/cuda/device.ts';
import { firstVisible, nvidiaSmi } from './model/cuda/driver.ts';
import { checkLibraries, installedRuntime, loaderSearch } from './model/cuda/libraries.ts';
import { hubSettings } from './model/hub/settings.ts';
import { createLoader } from './model/load.ts';
import { hostMemory } from './model/memory.ts';
import { startServer } from './start.ts';

export const usage = `usage: refmodel server [--check-provider]

Serves the models of a catalog file: loads them at their first request, keeps the most recently used ones in memory.
Settings are environment variables, see docs/configuration.md.

  --check-provider      look whether the CUDA provider and its libraries are there, all but the driver, and end
`;

/** Of a GPU that does not tell: loads will say why. */
const unknownBytes = Number.MAX_SAFE_INTEGER;

export async function main(env: NodeJS.ProcessEnv, argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
      help: { type: 'boolean', short: 'h' },
      'check-provider': { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  if (values['check-provider']) return checkProvider(env, { hasDriver: false });
  const config = parseConfig(serverConfig, env);
  const log = createLogger('server', config.REFMODEL_LOG_LEVEL);
  const tracing = await startTracing('refmodel-server', env);
  const device = config.REFMODEL_EXECUTION_PROVIDER === 'CUDA' ? openDevice(env, log) : undefined;
  const load = createLoader({
    cacheDir: config.REFMODEL_CACHE_DIR,
    cacheBytes: config.REFMODEL_CACHE_BYTES,
    hub: hubSettings(config),
    threads: config.REFMODEL_THREADS ?? availableParallelism(),
    provider: config.REFMODEL_EXECUTION_PROVIDER,
    device,
    log,
  });
  const options = {
    log,
    drainDelayMs: config.REFMODEL_DRAIN_DELAY_MS,
    closeTimeoutMs: config.REFMODEL_CLOSE_TIMEOUT_MS,
  };
  await run(options, async (signal) => {
    const there = { host: hostMemory(), device: (await device?.budget()) ?? unknownBytes };
    const memory = memoryLimits(config, there);
    const server = await startServer(
      { config, load, clock: systemClock, log, memory, tracing },
      signal,
    );
    process.send?.({ port: server.port } satisfies ServerListening);
    return server;
  });
}

function openDevice(env: NodeJS.ProcessEnv, log: Logger): Device {
  const driver = nvidiaSmi({ id: firstVisible(env['CUDA_VISIBLE_DEVICES']) });
  const checkLibraries = () => checkProvider(env, { hasDriver: true });
  return new Device({ driver, checkLibraries, clock: systemClock, log });
}

async function checkProvider(env: NodeJS.ProcessEnv, options: { hasDriver: boolean }) {
  const search = await loaderSearch(env['LD_LIBRARY_PATH']);
  await checkLibraries({ runtime: await installedRuntime(), search, ...options });
}
