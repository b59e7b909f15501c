// The routes of a server, in one list.
import type { Express, RequestHandler } from 'express';
import type { Clock } from '../common/clock.ts';
import {
  addHealth,
  createApp,
  type ErrorLocals,
  finish,
  methodNotAllowed,
} from '../common/http.ts';
import type { Logger } from '../common/log.ts';
import type { Tracing } from '../common/tracing.ts';
import { admit } from './api/admission.ts';
import { clearCache, deleteModel, getCache, getModel, putModel } from './api/cache.ts';
import { addDialects } from './api/dialects/routes.ts';
import { getModels } from './api/models.ts';
import type { Divergence } from './api/native/divergence.ts';
import { addNative } from './api/native/routes.ts';
import { openApiDocument } from './api/openapi/document.ts';
import { getState } from './api/state.ts';
import { traceRequest } from './api/trace.ts';
import { readAnyBody, readInferenceBody, readJsonBody } from './api/wire/read-body.ts';
import { BodyThreads } from './api/wire/threads.ts';
import type { Catalog } from './catalog.ts';
import type { ServerConfig } from './config.ts';
import { errorShape, standingAnswer } from './contract.ts';
import type { ServerMetrics } from './metrics.ts';
import type { ModelCache } from './model/cache/model-cache.ts';
import type { LoadedModel } from './model/loaded.ts';
import type { Bytes } from './model/memory.ts';
import { serverState } from './state.ts';

export interface AppOptions {
  config: ServerConfig;
  catalog: Catalog;
  cache: ModelCache<LoadedModel>;
  metrics: ServerMetrics;
  tracing: Tracing;
  /** What models may hold together. */
  memory: Bytes;
  clock: Clock;
  log: Logger;
  isDraining: () => boolean;
  shutdown: AbortSignal;
}

export function createServerApp(options: AppOptions): Express {
  const { config, catalog, cache, metrics, memory, tracing, clock, isDraining, shutdown } = options;
  const maxModels = config.REFMODEL_MAX_MODELS;
  const lookup = { catalog, clock, waitMs: config.REFMODEL_CATALOG_WAIT_MS, shutdown };
  const scoring = { cache, metrics, limits: scoreLimits(config) };
  const policies = new Map<string, Divergence>();
  const state = () =>
    serverState(cache.info(), { maxModels, memory, isDraining: isDraining(), policies });
  const threads = new BodyThreads(config.REFMODEL_BODY_THREADS);
  shutdown.addEventListener('abort', () => void threads.close(), { once: true });
  const admission = admit(admissionLimits(config));
  const bodies = bodyOptions(config, threads);

  const app = createApp();
  app.use(measure(options));
  app.use(endConnections(isDraining));
  addHealth(app, { isReady: () => catalog.isRead && !isDraining() }, metrics.registry);
  app.use(answerStanding);
  if (tracing.isOn) app.use(traceRequest(tracing));
  app.get('/state', getState({ state, changes: cache.changes, clock, shutdown }));

  addNative(app, [admission, ...readAnyBody(bodies)], {
    lookup,
    scoring,
    threads,
    limits: { ...answerLimits(config), warnDivergence: config.REFMODEL_WARN_DIVERGENCE },
    log: options.log,
    onDivergence(model, divergence, isFar) {
      policies.set(model, divergence);
      metrics.onDivergence(model, divergence, isFar);
    },
  });
  app.route('/openapi.json').get(getOpenApi()).all(methodNotAllowed('GET'));
  app
    .route('/v1/models')
    .get(getModels(catalog, cache, clock))
    .all(methodNotAllowed('GET'));

  const dialectBodies = {
    json: [admission, ...readJsonBody(bodies)],
    inference: [admission, ...readInferenceBody(bodies)],
  };
  addDialects(app, dialectBodies, { lookup, scoring, clock, limits: answerLimits(config) });

  app
    .route('/cache')
    .get(getCache(cache, maxModels))
    .delete(clearCache(cache))
    .all(methodNotAllowed('GET', 'DELETE'));
  for (const path of ['/cache/:name', '/cache/:namespace/:name']) {
    app
      .route(path)
      .get(getModel(cache, lookup))
      .put(putModel(cache, lookup))
      .delete(deleteModel(cache, lookup))
      .all(methodNotAllowed('GET', 'PUT', 'DELETE'));
  }
  finish(app, options.log, errorShape);
  return app;
}

const admissionLimits = (config: ServerConfig) => ({
  maxRequests: config.REFMODEL_MAX_REQUESTS,
  maxBytes: config.REFMODEL_MAX_REQUEST_BYTES,
  maxBodyBytes: config.REFMODEL_MAX_BODY_BYTES,
});

const scoreLimits = (config: ServerConfig) => ({
  maxRows: config.REFMODEL_MAX_QUEUED_ROWS,
  maxTokens: config.REFMODEL_MAX_QUEUED_TOKENS,
});

const answerLimits = (config: ServerConfig) => ({
  maxTopLogprobs: config.REFMODEL_MAX_TOP_LOGPROBS,
  maxAnswerValues: config.REFMODEL_MAX_ANSWER_VALUES,
});

function getOpenApi(): RequestHandler {
  const document = openApiDocument();
  return function openApi(_req, res) {
    res.json(document);
  };
}

const answerStanding: RequestHandler = function answerStanding(req, res, next) {
  const answer =
    req.method === 'GET' || req.method === 'HEAD' ? standingAnswer(req.path) : undefined;
  if (answer === undefined) return next();
  if (typeof answer === 'string') res.type('text/plain').send(answer);
  else res.json(answer);
};

const bodyOptions = (config: ServerConfig, threads: BodyThreads) => ({
  maxBytes: config.REFMODEL_MAX_BODY_BYTES,
  maxInlineBytes: config.REFMODEL_INLINE_BODY_BYTES,
  threads,
});

/** By route pattern, never by path: a client does not pick the label. */
function measure({ metrics, clock, log }: AppOptions): RequestHandler {
  return function measureRequest(req, res, next) {
    const startedMs = clock.now();
    res.once('close', () => {
      const route: unknown = req.route?.path;
      const { errorCode } = res.locals as ErrorLocals;
      if (errorCode) metrics.onError(errorCode);
      const code = res.writableFinished ? res.statusCode : 499;
      const name = typeof route === 'string' ? route : 'none';
      const seconds = (clock.now() - startedMs) / 1000;
      metrics.onRequest(name, code, seconds);
      if (!log.isLevelEnabled('debug')) return;
      const requestId = req.get('x-request-id');
      log.debug({ requestId, route: name, code, error: errorCode, seconds }, 'request answered');
    });
    next();
  };
}

/** So that pooled connections go elsewhere before the socket closes. */
function endConnections(isDraining: () => boolean): RequestHandler {
  return function endConnection(_req, res, next) {
    if (isDraining()) res.setHeader('connection', 'close');
    next();
  };
}
