// The HTTP side of the gateway: each app is one visible list of steps, outermost first.
import express, { type Express, type RequestHandler, type Response } from 'express';
import type { ParamsDictionary, Query } from 'express-serve-static-core';
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import { addHealth, clientSignal, createApp, finish, type Health } from '../../common/http.ts';
import type { Logger } from '../../common/log.ts';
import { errorShape } from '../../server/contract.ts';
import type { DemandReport } from '../demand.ts';
import type { Backend, GatewayModel } from './backend.ts';
import { callerOf } from './caller.ts';
import type { RequestSettings } from './config.ts';
import type { Dispatcher } from './dispatch.ts';
import type { Forwarder } from './forward.ts';
import { answerLease, leasePath } from './leases.ts';
import type { GatewayMetrics } from './metrics.ts';
import { type Address, isPodPath, modelInBody, readAddress, resolveModel } from './route.ts';
import { answerStanding, answerWhileAsleep, isRead, isWork, listModels } from './standing.ts';

export interface AppOptions {
  backend: Backend;
  dispatcher: Dispatcher;
  forwarder: Forwarder;
  metrics: GatewayMetrics;
  settings: RequestSettings;
  clock: Clock;
  isDraining: () => boolean;
  log: Logger;
}

interface Locals extends Record<string, unknown> {
  address: Address;
  model: GatewayModel;
}
type Step = RequestHandler<ParamsDictionary, unknown, Buffer | undefined, Query, Locals>;

/** A request may wait less than its model or the gateway would let it. Milliseconds. */
export const holdTimeoutHeader = 'x-refmodel-hold-timeout-ms';

export function trafficApp(options: AppOptions): Express {
  const app = createApp();
  app.use(closeWhenDraining(options));
  app.use(answerAnyway);
  app.use(requireSynced(options));
  app.use(address(options));
  app.use(answerHere(options));
  app.use(readBody(options));
  app.use(answerLeases(options));
  app.use(resolve(options));
  app.use(countRequests(options));
  app.use(sleepOn(options));
  app.use(forward(options));
  finish(app, options.log, errorShape);
  return app;
}

export function adminApp(
  options: Pick<AppOptions, 'metrics' | 'log'> & { health: Health; report: () => DemandReport },
): Express {
  const app = createApp();
  addHealth(app, options.health, options.metrics.registry);
  app.get('/demand', (_req, res) => {
    res.json(options.report());
  });
  finish(app, options.log);
  return app;
}

/** Clients that keep their connection would keep us from ending. */
function closeWhenDraining({ isDraining }: AppOptions): RequestHandler {
  return function closeConnection(_req, res, next) {
    if (isDraining()) res.setHeader('connection', 'close');
    next();
  };
}

/** Clients probe health before they start; models that sleep, or are not known yet, are no reason to wait. */
const answerAnyway: RequestHandler = function answerWithoutModels(req, res, next) {
  const answer = isRead(req.method) ? answerStanding(req.path, undefined) : undefined;
  if (answer === undefined) next();
  else send(res, answer);
};

function send(res: Response<unknown, Record<string, unknown>>, answer: string | object): void {
  if (typeof answer === 'string') res.type('text/plain').send(answer);
  else res.json(answer);
}

/** Before every model is known, none may be called unknown. */
function requireSynced({ backend }: AppOptions): RequestHandler {
  return function checkSynced(_req, _res, next) {
    if (!backend.isSynced()) throw new AppError('NOT_READY', 'the models are not known yet');
    next();
  };
}

function address({ backend }: AppOptions): Step {
  return function readAddressOf(req, res, next) {
    const request = { host: req.get('host'), url: req.url };
    res.locals.address = readAddress(request, backend.models());
    next();
  };
}

/** What needs no pod, under the address of a model too, and what no client may reach. */
function answerHere({ backend }: AppOptions): Step {
  return function answerWithoutPod(req, res, next) {
    const { model, path } = res.locals.address;
    const answer = isRead(req.method) ? answerStanding(path, model) : undefined;
    if (answer !== undefined) {
      send(res, answer);
    } else if (isRead(req.method) && /^\/v1\/models\/?$/.test(path)) {
      res.json(listModels(model ? [model] : [...backend.models().values()]));
    } else if (isPodPath(path)) {
      throw new AppError('ROUTE_NOT_FOUND', `no route ${req.method} ${path}`);
    } else {
      next();
    }
  };
}

/** The body is kept in memory, so that it can be sent again; compressed ones could not be bounded. */
function readBody({ settings }: AppOptions): Step {
  return express.raw({ type: () => true, limit: settings.maxBodyBytes, inflate: false });
}

/** Under the address of a model too, which then need not be named. */
function answerLeases(options: AppOptions): Step {
  return async function answerLeaseOf(req, res, next) {
    const { model: addressed, path } = res.locals.address;
    const lease = leasePath(path);
    if (!lease) return next();
    const { method, body } = req;
    const signal = clientSignal(res as Response);
    res.json(await answerLease({ method, ...lease, body, addressed }, options, signal));
  };
}

function resolve({ backend }: AppOptions): Step {
  return function resolveModelOf(req, res, next) {
    const inBody = () => modelInBody(req.body);
    res.locals.model = resolveModel(res.locals.address, inBody, backend.models());
    next();
  };
}

function countRequests({ metrics }: AppOptions): Step {
  return function countOnClose(_req, res, next) {
    const model = res.locals.model.key;
    res.once('close', () => {
      const status = res.writableFinished ? res.statusCode : 499;
      metrics.requests.inc({ model, status });
    });
    next();
  };
}

/** What is not worth a cold start has an answer without a pod. */
function sleepOn({ dispatcher }: AppOptions): Step {
  return function answerAsleep(req, res, next) {
    const { address, model } = res.locals;
    if (isWork(req.method, address.path) || !dispatcher.isAsleep(model)) return next();
    res.json(answerWhileAsleep(req.method, address.path, model));
  };
}

function forward({ forwarder, settings }: AppOptions): Step {
  return async function forwardToPod(req, res) {
    const { address, model } = res.locals;
    const { method, headers, body } = req;
    const path = address.path + address.query;
    const request = { method, path, headers, body, model: model.key, caller: callerOf(req) };
    const longest = model.hold.timeoutMs ?? settings.holdTimeoutMs;
    const budget = holdBudget(req.get(holdTimeoutHeader), longest);
    await forwarder.forward(request, res as Response, budget);
  };
}

function holdBudget(wanted: string | undefined, most: number): number {
  if (wanted === undefined) return most;
  if (!/^\d{1,12}$/.test(wanted)) {
    throw new AppError(
      'INVALID_REQUEST',
      `reading ${holdTimeoutHeader}: not a number, "${wanted}"`,
    );
  }
  return Math.min(Number(wanted), most);
}
