import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Express } from 'express';
import { systemClock } from '../../../../../common/clock.ts';
import { parseConfig } from '../../../../../common/config.ts';
import { silentLogger } from '../../../../../common/log.ts';
import { noTracing } from '../../../../../common/tracing.ts';
import { methods, routes } from '../../../../../server/api/openapi/routes.ts';
import { type AppOptions, createServerApp } from '../../../../../server/app.ts';
import { serverConfig } from '../../../../../server/config.ts';
import { standingPaths } from '../../../../../server/contract.ts';
import { BigramModels } from '../../../../support/bigram-model.ts';
import { startServerKit } from '../../../../support/server-kit.ts';

const native = ['application/json', 'application/x-safetensors', 'application/octet-stream'];

/** Its routes are there before it has anything to answer with. */
function bareApp(): Express {
  const parts = {
    config: parseConfig(serverConfig, {
      REFMODEL_CATALOG: '/none',
      REFMODEL_MEMORY_BYTES: '1000',
    }),
    catalog: {},
    cache: { changes: {}, info: () => [] },
    metrics: { registry: {} },
    clock: systemClock,
    log: silentLogger,
    tracing: noTracing,
    isDraining: () => false,
    shutdown: new AbortController().signal,
  };
  return createServerApp(parts as unknown as AppOptions);
}

/** "METHOD path" of every route that an app has, as express has them. */
const routesOf = (app: Express): string[] =>
  app.router.stack.flatMap(({ route }) =>
    (route?.stack ?? []).flatMap(({ method }) =>
      method && route ? [`${method.toUpperCase()} ${route.path}`] : [],
    ),
  );

/** One wildcard serves all paths of models there. */
const asExpress = (path: string) =>
  path.startsWith('/v2/models/') ? '/v2/models/*model' : path.replace(/\{(\w+)\}/g, ':$1');

const listed = Object.entries(routes).flatMap(([path, operations]) =>
  methods
    .filter((method) => operations[method])
    .map((method) => ({ path, line: `${method.toUpperCase()} ${asExpress(path)}` })),
);

describe('the list of routes', () => {
  it('has every route of the app, and none that is not there', () => {
    const served = new Set(routesOf(bareApp()));
    const own = new Set(
      listed.filter(({ path }) => !standingPaths.includes(path)).map(({ line }) => line),
    );

    assert.deepEqual([...own].toSorted(), [...served].toSorted());
  });

  it('has what is answered whatever sleeps', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    for (const path of standingPaths) {
      assert.ok(routes[path]?.get, path);
      const { status, headers } = await kit.get(path);
      assert.equal(status, 200, path);
      const [type] = routes[path].get.types ?? ['application/json'];
      assert.ok(headers.get('content-type')?.startsWith(type ?? ''), path);
    }
  });

  it('has the binary formats of the native routes, and a schema for every body', () => {
    assert.deepEqual(routes['/v1/rewards']?.post?.types, native);
    for (const [path, { post }] of Object.entries(routes)) {
      assert.ok(!post || post.request, path);
    }
  });
});
