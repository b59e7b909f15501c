// The HTTP side of the gateway: what happens to a request is one visible list of steps.
import type { RequestListener } from 'node:http';
import type { Express } from 'express';
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import { addHealth, createApp, finish, type Health } from '../../common/http.ts';
import type { Logger } from '../../common/log.ts';
import type { Tracing } from '../../common/tracing.ts';
import type { DemandReport } from '../demand.ts';
import type { Access } from './access/access.ts';
import { isPoolWide, rightOf } from './access/rights.ts';
import { bearerToken, refuseDoubles } from './access/token.ts';
import type { Backend, GatewayModel } from './backend.ts';
import { Call } from './call.ts';
import { callerOf } from './caller.ts';
import { CodedBodies, codingOf } from './coded-body.ts';
import type { RequestSettings } from './config.ts';
import type { ConsoleState } from './console/contract.ts';
import { addConsole } from './console/routes.ts';
import type { Dispatcher } from './dispatch.ts';
import type { Forwarder } from './forward.ts';
import { answerLease, leasePath } from './leases.ts';
import type { GatewayMetrics } from './metrics.ts';
import { modelInBody } from './model-in-body.ts';
import { readBody } from './read-body.ts';
import { type Address, isPodPath, readAddress, resolveModel, splitUrl } from './route.ts';
import { answerStanding, answerWhileAsleep, isRead, isWork, listModels } from './standing.ts';
import { traceCall } from './trace.ts';

export interface AppOptions {
  access: Access;
  backend: Backend;
  dispatcher: Dispatcher;
  forwarder: Forwarder;
  metrics: GatewayMetrics;
  settings: RequestSettings;
  clock: Clock;
  isDraining: () => boolean;
  tracing: Tracing;
  log: Logger;
}

/** A request may wait less than its model or the gateway would let it. Milliseconds. */
export const holdTimeoutHeader = 'x-refmodel-hold-timeout-ms';

export function trafficApp(options: AppOptions): RequestListener {
  const { backend, isDraining, log, settings, tracing } = options;
  const coded = new CodedBodies(settings.maxBodyBytes);
  /** A step that answers ends the list, as does one that throws. */
  const handle = async (call: Call): Promise<void> => {
    if (answerAnyway(call)) return;
    countOnClose(call, options);
    requireSynced(backend);
    const address = addressOf(call, backend);
    call.model = address.model?.key;
    const asked = { address, token: bearerToken(call.req.rawHeaders) };
    // Nobody fills our memory, or learns what there is, under the address of a model that is not theirs.
    if (address.model) await requireRight(call, { ...asked, model: address.model }, options);
    if (await answerHere(call, asked, options)) return;
    const body = await readBody(call.req, settings.maxBodyBytes);
    const isRouted = address.model !== undefined && !leasePath(address.path);
    const text = isRouted ? body : await decode(call, body, coded);
    if (await answerLeases(call, { ...asked, body: text }, options)) return;
    const model = resolveModel(
      address,
      () => modelInBody(text, call.req.headers),
      backend.models(),
    );
    call.model = model.key;
    if (!address.model) await requireRight(call, { ...asked, model }, options);
    if (answerAsleep(call, { address, model }, options)) return;
    await forward(call, { address, body, model }, options);
  };
  return function serve(req, res) {
    const call = new Call(req, res, isDraining);
    const work = () => void handle(call).catch((err: unknown) => call.fail(err, log));
    if (tracing.isOn) traceCall(call, tracing, work);
    else work();
  };
}

export function adminApp(
  options: Pick<AppOptions, 'metrics' | 'log' | 'clock'> & {
    health: Health;
    report: () => DemandReport;
    /** Undefined: there is no console. */
    console: (() => ConsoleState) | undefined;
  },
): Express {
  const app = createApp();
  addHealth(app, options.health, options.metrics.registry);
  app.get('/demand', (_req, res) => {
    res.json(options.report());
  });
  if (options.console) addConsole(app, { state: options.console, clock: options.clock });
  finish(app, options.log);
  return app;
}

/** Clients probe health before they start; models that sleep, or are not known yet, are no reason to wait. */
function answerAnyway(call: Call): boolean {
  const { method = '', url = '' } = call.req;
  if (!isRead(method)) return false;
  const answer = answerStanding(splitUrl(url).path, undefined);
  if (answer !== undefined) call.send(answer);
  return answer !== undefined;
}

/** Before every model is known, none may be called unknown. */
function requireSynced(backend: Backend): void {
  if (!backend.isSynced()) throw new AppError('NOT_READY', 'the models are not known yet');
}

function addressOf({ req }: Call, backend: Backend): Address {
  refuseDoubles(req.rawHeaders);
  return readAddress({ host: req.headers.host, url: req.url ?? '' }, backend.models());
}

interface Asked {
  address: Address;
  /** Of the caller, not looked at yet. */
  token: string | undefined;
}

/** Throws what the caller is answered who may not. Leases have rights of their own. */
async function requireRight(
  call: Call,
  { address: { path }, token, model }: Asked & { model: GatewayModel },
  { access, backend }: AppOptions,
): Promise<void> {
  if (leasePath(path)) return;
  const right = rightOf(call.req.method ?? '', path);
  const mates = () => [...backend.models().values()].filter(({ pool }) => pool === model.pool);
  const models = isPoolWide(path) ? mates() : [model];
  if (models.every((one) => access.isOpen(one, right))) return;
  const { signal } = call.endWithClient(new AbortController());
  await access.require(models, right, token, signal);
}

/** What needs no pod, under the address of a model too, and what no client may reach. */
async function answerHere(
  call: Call,
  { address: { model, path }, token }: Asked,
  { access, backend }: AppOptions,
): Promise<boolean> {
  const { method = '' } = call.req;
  const answer = isRead(method) ? answerStanding(path, model) : undefined;
  if (answer !== undefined) {
    call.send(answer);
  } else if (isRead(method) && /^\/v1\/models\/?$/.test(path)) {
    const { signal } = call.endWithClient(new AbortController());
    const models = model ? [model] : [...backend.models().values()];
    call.send(listModels(await access.visible(models, token, signal)));
  } else if (isPodPath(path)) {
    throw new AppError('ROUTE_NOT_FOUND', `no route ${method} ${path}`);
  } else {
    return false;
  }
  return true;
}

/** As it was before a content coding. */
async function decode(
  call: Call,
  body: Buffer | undefined,
  coded: CodedBodies,
): Promise<Buffer | undefined> {
  const coding = codingOf(call.req.headers);
  if (!body || coding === undefined) return body;
  return coded.decode(body, coding, call.endWithClient(new AbortController()).signal);
}

/** Under the address of a model too, which then need not be named. */
async function answerLeases(
  call: Call,
  { address, token, body }: Asked & { body: Buffer | undefined },
  options: AppOptions,
): Promise<boolean> {
  const lease = leasePath(address.path);
  if (!lease) return false;
  const { method = '' } = call.req;
  const request = { method, ...lease, body, addressed: address.model, token };
  const { signal } = call.endWithClient(new AbortController());
  call.send(await answerLease(request, options, signal));
  return true;
}

/** What names no model that there is counts as "none". */
function countOnClose(call: Call, { metrics, clock, log }: AppOptions): void {
  const startedMs = clock.now();
  call.res.on('close', () => {
    const { model = 'none', errorCode, res } = call;
    const code = res.writableFinished ? res.statusCode : 499;
    metrics.requests.inc({ model, code });
    const seconds = (clock.now() - startedMs) / 1000;
    metrics.requestSeconds.observe({ model }, seconds);
    if (errorCode) metrics.errors.inc({ model, error: errorCode });
    if (!log.isLevelEnabled('debug')) return;
    log.debug({ requestId: call.id, model, code, error: errorCode, seconds }, 'request answered');
  });
}

/** What is not worth a cold start has an answer without a pod. */
function answerAsleep(
  call: Call,
  { address, model }: { address: Address; model: GatewayModel },
  { dispatcher }: AppOptions,
): boolean {
  const { method = '' } = call.req;
  if (isWork(method, address.path) || !dispatcher.isAsleep(model)) return false;
  call.send(answerWhileAsleep(method, address.path, model));
  return true;
}

async function forward(
  call: Call,
  { address, body, model }: { address: Address; body: Buffer | undefined; model: GatewayModel },
  { forwarder, settings }: AppOptions,
): Promise<void> {
  const { method = '', headers } = call.req;
  const path = address.path + address.query;
  const request = { method, path, headers, body, model: model.key, caller: callerOf(call.req) };
  const longest = model.hold.timeoutMs ?? settings.holdTimeoutMs;
  await forwarder.forward(request, call, holdBudget(headers[holdTimeoutHeader], longest));
}

function holdBudget(wanted: string | string[] | undefined, most: number): number {
  if (wanted === undefined) return most;
  if (typeof wanted !== 'string' || !/^\d{1,12}$/.test(wanted)) {
    const message = `reading ${holdTimeoutHeader}: not a number, "${String(wanted)}"`;
    throw new AppError('INVALID_REQUEST', message);
  }
  return Math.min(Number(wanted), most);
}
