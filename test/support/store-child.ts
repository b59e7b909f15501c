// A process that obtains files from a store when its parent tells it to. What it makes takes some time and is written
// down in a log, also if it never gets to the end.
import { appendFileSync } from 'node:fs';
import { systemClock } from '../../common/clock.ts';
import { Store } from '../../server/model/store/store.ts';
import { beatBy } from './store-kit.ts';
import {
  type ChildSettings,
  contentOf,
  isWhole,
  type Obtained,
  type Order,
} from './store-parent.ts';

const { dir, log, staleMs, skewMs }: ChildSettings = JSON.parse(process.argv[2] ?? '');
const { signal } = new AbortController();
const clock = { ...systemClock, now: () => Date.now() + skewMs };
const beat = skewMs === 0 ? {} : { beat: beatBy(clock, staleMs) };
const store = new Store({ dir, clock, staleMs, ...beat });

async function obtain({ key, bytes, parts, partMs }: Order): Promise<Obtained> {
  const content = contentOf(key, bytes);
  return store.obtain(
    key,
    {
      bytes,
      isWhole: (file) => isWhole(file, key, bytes),
      make: async (file, signal) => {
        appendFileSync(log, `${key}\n`);
        const part = Math.ceil(bytes / parts);
        for (let at = 0; at < bytes; at += part) {
          await file.write(content, at, Math.min(part, bytes - at), at);
          await clock.delay(partMs, signal);
        }
      },
    },
    signal,
  );
}

process.on('message', (order: Order) => {
  obtain(order).then(
    (obtained) => process.send?.(obtained),
    (err: unknown) => process.send?.({ error: String(err) }),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
