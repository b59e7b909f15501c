// GET /state: once, or with `?watch=1` as one JSON line now, at every change, and every few seconds, so that a reader
// tells a quiet pod from a dead one.
import type { RequestHandler, Response } from 'express';
import { abortable, linkSignals, withTimeout } from '../../common/abort.ts';
import type { Clock } from '../../common/clock.ts';
import { clientSignal } from '../../common/http.ts';
import type { Changes } from '../changes.ts';
import type { ServerState } from '../contract.ts';

const heartbeatMs = 3000;
/** At least this long between two lines: changes that fall together share one. */
const coalesceMs = 50;

export interface StateOptions {
  state: () => ServerState;
  changes: Changes;
  clock: Clock;
  /** Ends the streams: no more changes will come. */
  shutdown: AbortSignal;
}

export function getState(options: StateOptions): RequestHandler {
  return async function state(req, res) {
    if (req.query['watch'] === undefined) {
      res.json(options.state());
      return;
    }
    res.type('application/x-ndjson');
    using ends = linkSignals(clientSignal(res), options.shutdown);
    await watch(res, options, ends.signal).catch(() => {}); // the client or the process ends it
    res.end();
  };
}

async function watch(res: Response, options: StateOptions, signal: AbortSignal): Promise<never> {
  const { state, changes, clock } = options;
  for (;;) {
    const { next } = changes;
    const isTaken = res.write(`${JSON.stringify(state())}\n`);
    if (!isTaken) await abortable(drained(res), signal);
    await clock.delay(coalesceMs, signal);
    using heartbeat = withTimeout(signal, heartbeatMs, clock);
    await abortable(next, heartbeat.signal).catch(() => signal.throwIfAborted());
  }
}

const drained = (res: Response) => new Promise<void>((resolve) => res.once('drain', resolve));
