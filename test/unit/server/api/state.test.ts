import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import express from 'express';
import { linkSignals } from '../../../../common/abort.ts';
import { listen } from '../../../../common/http.ts';
import { getState } from '../../../../server/api/state.ts';
import { Changes } from '../../../../server/changes.ts';
import type { ServerState } from '../../../../server/contract.ts';
import { FakeClock, settle } from '../../../support/clock.ts';
import { until } from '../../../support/server-kit.ts';

async function world() {
  const clock = new FakeClock();
  const changes = new Changes();
  const ending = linkSignals();
  const at = { maxModels: 1 };
  const state = (): ServerState => ({ models: [], maxModels: at.maxModels, isDraining: false });
  const app = express();
  app.get('/state', getState({ state, changes, clock, shutdown: ending.signal }));
  const listening = await listen(app, 0, '127.0.0.1');
  const url = `http://127.0.0.1:${listening.port}/state`;
  const lines: ServerState[] = [];
  return {
    at,
    clock,
    changes,
    ending,
    url,
    lines,
    /** Reads lines until the stream ends. */
    async watch(signal?: AbortSignal) {
      const res = await fetch(`${url}?watch=1`, { ...(signal && { signal }) });
      assert.equal(res.headers.get('content-type'), 'application/x-ndjson');
      const decoder = new TextDecoder();
      let rest = '';
      for await (const chunk of res.body ?? []) {
        const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
        rest = parts.pop() ?? '';
        lines.push(...parts.map((line) => JSON.parse(line) as ServerState));
      }
    },
    async [Symbol.asyncDispose]() {
      ending.abort(new Error('enough'));
      await listening.close();
      assert.equal(clock.pending, 0);
    },
  };
}

describe('GET /state', () => {
  it('answers once without watch', async () => {
    await using at = await world();

    assert.deepEqual(await (await fetch(at.url)).json(), {
      models: [],
      maxModels: 1,
      isDraining: false,
    });
  });

  it('streams a line at once, one for changes that fall together, and one when nothing changes', async () => {
    await using at = await world();
    const watching = at.watch();
    await until(() => at.lines.length === 1);

    for (const maxModels of [2, 3]) {
      at.at.maxModels = maxModels;
      at.changes.notify();
    }
    await at.clock.step(50);
    await until(() => at.lines.length === 2);
    assert.equal(at.lines[1]?.maxModels, 3);
    await at.clock.step(50);
    await at.clock.step(3000);
    await until(() => at.lines.length === 3);

    at.ending.abort(new Error('the process ends'));
    await watching;
  });

  it('stops when its reader leaves', async () => {
    await using at = await world();
    const client = new AbortController();
    const watching = assert.rejects(at.watch(client.signal));
    await until(() => at.lines.length === 1);

    client.abort();
    await watching;

    await until(() => at.clock.pending === 0);
    await settle();
  });
});
