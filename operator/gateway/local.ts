// `refmodel local`: the gateway over child processes, for one machine without a cluster.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { ShutdownError } from '../../common/abort.ts';
import { type Clock, systemClock } from '../../common/clock.ts';
import { type Arguments, type CommandSpec, command, usageError } from '../../common/command.ts';
import { parseConfig } from '../../common/config.ts';
import { AppError } from '../../common/errors.ts';
import { createApp, finish, type Listening, listen } from '../../common/http.ts';
import { type Running, run } from '../../common/lifecycle.ts';
import { createLogger, type Logger, logLevels } from '../../common/log.ts';
import { ProgressLine } from '../../common/progress-line.ts';
import { startTracing } from '../../common/tracing.ts';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import { hubVariables } from '../../server/model/hub/settings.ts';
import { withPreloads } from '../catalog.ts';
import { gatewayPort, type ModelKey, modelKey, type PoolKey } from '../pool.ts';
import { noReviews } from './access/reviews.ts';
import { LocalBackend } from './backend/local.ts';
import { startServerProcess } from './backend/process.ts';
import { requestSettings, requestSettingsOf } from './config.ts';
import { addConsole, isConsolePath } from './console/routes.ts';
import { loadsText } from './console/words.ts';
import { createGateway, type Gateway } from './gateway.ts';
import { type LocalPlan, planLocal, sampleTokens } from './local-plan.ts';
import { readManifests } from './manifests.ts';
import { readVolumes } from './volumes.ts';

const spec: CommandSpec = {
  name: 'local',
  takes: 'MANIFEST... [options]',
  about: `Serves the ReferenceModels of the manifests on this machine. A server process starts at the first
request of its models and stops when none was asked for their idleTimeout. MANIFEST is a YAML file or
a folder with ReferenceModel and GPUClass objects.`,
  options: {
    volume: {
      value: 'NAME=DIR',
      multiple: true,
      help: 'folder that stands for the PersistentVolumeClaim NAME; may be repeated',
    },
    port: {
      value: 'PORT',
      help: `port on 127.0.0.1 (default ${gatewayPort}; 0 takes a free one)`,
    },
    cache: {
      value: 'DIR',
      help: 'folder of downloaded and converted models (default: refmodel in your cache folder)',
    },
  },
  more: `The console is at /console. Models of the Hugging Face hub are downloaded with the token in HF_TOKEN;
HF_ENDPOINT, HF_HUB_OFFLINE and the variables of proxies are heeded too. In a terminal, downloads and
conversions show how far they are. Logs go to stderr as JSON; REFMODEL_LOG_LEVEL=info says more.`,
};
export const { usage, main } = command(spec, serve);

export const localConfig = z.object({
  REFMODEL_LOG_LEVEL: z
    .enum(logLevels)
    .default('warn')
    .describe('Least severe level that is logged.'),
  ...requestSettings,
  ...hubVariables, // the servers read them from our environment; what is wrong is to be said here
});

const host = '127.0.0.1';
/** How often demand is looked at. Milliseconds. */
const scaleMs = 250;
/** What requests get at the end, then what a server process gets before it is killed. Milliseconds. */
const drainTimeoutMs = 10_000;
const graceMs = 10_000;

async function serve(args: Arguments, env: NodeJS.ProcessEnv): Promise<void> {
  const flags = readFlags(args);
  const config = parseConfig(localConfig, env);
  const log = createLogger('local', config.REFMODEL_LOG_LEVEL, 2);
  const tracing = await startTracing('refmodel-gateway', env);
  const { models, classes, notes } = await readManifests(flags.manifests);
  for (const note of notes) process.stderr.write(`note: ${note}\n`);
  if (models.length === 0) {
    throw new AppError(
      'MANIFEST_INVALID',
      'reading the manifests: there is no ReferenceModel in them',
    );
  }
  const plan = planLocal(models, classes, await readVolumes(flags.volumes));

  const cache = flags.cache ?? join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'refmodel');
  const clock = systemClock;
  const logLevel = config.REFMODEL_LOG_LEVEL;
  const folder = await mkdtemp(join(tmpdir(), 'refmodel-')); // only this user reads it
  await writeCatalogs(plan, folder, new Set());
  const start = (pool: PoolKey) =>
    startServerProcess({
      settings: serverSettings(plan, pool, { folder, cache, logLevel }),
      clock,
      graceMs,
    });
  const preload = (leased: ReadonlySet<ModelKey>) => {
    writeCatalogs(plan, folder, leased).catch((err: unknown) => {
      log.error({ err }, 'cannot write the catalogs');
    });
  };
  const objects = models;
  const backend = new LocalBackend({ models: plan.models, objects, start, preload, clock, log });
  const settings = requestSettingsOf(config);
  const gateway = createGateway({
    name: 'local',
    backend,
    reviews: noReviews,
    guardsManagement: false,
    settings,
    hasConsole: false, // there is no admin port: it shares that of the API
    clock,
    log,
    tracing,
  });
  const traffic = await listenOn(withConsole(gateway, clock, log), flags.port).catch(
    async (err: unknown) => {
      await rm(folder, { recursive: true });
      throw err;
    },
  );
  process.stdout.write(greeting(models, traffic.port));
  await run({ log, drainDelayMs: 0, closeTimeoutMs: drainTimeoutMs + 2 * graceMs }, async () =>
    running({ backend, gateway, traffic, folder, clock }),
  );
}

interface Flags {
  manifests: string[];
  volumes: string[];
  port: number;
  cache: string | undefined;
}

function readFlags(args: Arguments): Flags {
  if (args.positionals.length === 0) throw usageError('local', 'no manifest is given');
  const port = args.value('port') ?? String(gatewayPort);
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw usageError('local', `--port ${port} is not a port`);
  }
  const cache = args.value('cache');
  return {
    manifests: args.positionals,
    volumes: args.values('volume'),
    port: Number(port),
    cache: cache && resolve(cache),
  };
}

const fileOf = (pool: PoolKey) => `${pool.replace('/', '.')}.json`;

/** One catalog file per pool. A server that reads one half-written keeps what it had, and looks again. */
async function writeCatalogs(
  plan: LocalPlan,
  folder: string,
  leased: ReadonlySet<ModelKey>,
): Promise<void> {
  for (const [pool, { catalog }] of plan.pools) {
    await writeFile(join(folder, fileOf(pool)), JSON.stringify(withPreloads(catalog, leased)));
  }
}

function serverSettings(
  plan: LocalPlan,
  pool: PoolKey,
  options: { folder: string; cache: string; logLevel: string },
): Record<string, string> {
  return {
    REFMODEL_PORT: '0',
    REFMODEL_HOST: host,
    REFMODEL_LOG_LEVEL: options.logLevel,
    REFMODEL_CATALOG: join(options.folder, fileOf(pool)),
    REFMODEL_CACHE_DIR: options.cache,
    ...plan.pools.get(pool)?.settings,
    REFMODEL_DRAIN_DELAY_MS: '0',
  };
}

/** The console beside the API, on one port. */
function withConsole(gateway: Gateway, clock: Clock, log: Logger): RequestListener {
  const page = createApp();
  addConsole(page, { state: () => gateway.console(), clock });
  finish(page, log);
  return (req, res) => (isConsolePath(req.url ?? '') ? page(req, res) : gateway.traffic(req, res));
}

async function listenOn(app: RequestListener, port: number): Promise<Listening> {
  try {
    return await listen(app, port, host);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const advice = 'take another port with --port';
    throw new AppError('CONFIGURATION_INVALID', `${message}; ${advice}`, { cause });
  }
}

function greeting(models: readonly ReferenceModel[], port: number): string {
  const url = `http://${host}:${port}`;
  const lines = models.map((model) => {
    const key = modelKey(model);
    const body = JSON.stringify({ model: key, input_ids: [sampleTokens(model)] });
    const route = model.spec.task === 'Reward' ? 'rewards' : 'logprobs';
    return `${key}\n  curl ${url}/v1/${route} -H 'content-type: application/json' -d '${body}'\n`;
  });
  return `Listening on ${url}\nThe first request of a model starts its server. Console: ${url}/console\n\n${lines.join('\n')}\n`;
}

interface Parts {
  backend: LocalBackend;
  gateway: Gateway;
  traffic: Listening;
  folder: string;
  clock: Clock;
}

function running({ backend, gateway, traffic, folder, clock }: Parts): Running {
  const background = new AbortController();
  const line = process.stderr.isTTY ? new ProgressLine(process.stderr) : undefined;
  const scaling = scaleForEver({ backend, gateway, clock, line }, background.signal);
  return {
    failed: scaling,
    drain: () => gateway.drain(),
    async close() {
      await gateway.close([traffic], drainTimeoutMs);
      background.abort(new ShutdownError('the process is ending'));
      await backend.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Until the signal fires; rejects with its reason. Who sits at the terminal sees how far loads are. */
async function scaleForEver(
  {
    backend,
    gateway,
    clock,
    line,
  }: Pick<Parts, 'backend' | 'gateway' | 'clock'> & { line: ProgressLine | undefined },
  signal: AbortSignal,
): Promise<never> {
  for (;;) {
    backend.scale(gateway.report());
    showLoads(gateway, line);
    await clock.delay(scaleMs, signal);
  }
}

function showLoads(gateway: Gateway, line: ProgressLine | undefined): void {
  if (!line) return;
  const text = loadsText(gateway.console());
  if (text === '') line[Symbol.dispose]();
  else line.show(text);
}
