// What the gateway adds to a request, how fast it lets held requests go, and what it keeps of those that left:
// `npm run bench:gateway [-- latency leak wakes release]`, three minutes. It runs as built, like the image: under tsx each
// closure costs more. The pod answers at once, so that all time is the way there and back; held requests after a moment.
// Direct, through a bare proxy and through the gateway take turns, second by second.
import { availableParallelism, cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { at, Client, ms, requestOf, second } from './gateway/load.ts';
import { ask, askArrivals, type Part, start } from './gateway/processes.ts';

const bodyBytes = 64 * 1024;
const perSecond = Number(process.env['BENCH_RATE'] ?? 1000);
const turns = Number(process.env['BENCH_TURNS'] ?? 15);
const warmUps = 5;
const waiters = 500;
const rounds = 10;
/** Between the moment that a pod's server listens and the one that its gateway hears of it; a kubelet asks once a second. */
const announcedMs = 1000;
const abandoned = 10_000;
const cycles = 1000;

interface Parts {
  readonly pod: Part;
  readonly proxy: Part;
  readonly gateway: Part;
}

async function addedLatency({ pod, proxy, gateway }: Parts): Promise<void> {
  const request = requestOf(bodyBytes);
  const ways = [pod, proxy, gateway].map((part) => ({
    part,
    client: new Client(part.port),
    took: [] as number[],
    cpuMs: 0,
  }));
  for (let turn = -warmUps; turn < turns; turn++) {
    for (const way of ways) {
      const before = await ask(way.part, 'cpu');
      const took = await second(way.client, request, perSecond);
      if (turn < 0) continue;
      way.took.push(...took);
      way.cpuMs += (await ask(way.part, 'cpu')) - before;
    }
  }
  for (const { client } of ways) client.close();
  const [direct, bare, through] = ways.map(({ took, cpuMs }) => ({
    took,
    cpu: cpuMs / took.length,
  }));
  if (!direct || !bare || !through) return;
  console.log(`${perSecond} requests/s of ${bodyBytes} bytes, ${turns} s each way`);
  for (const [name, way] of Object.entries({ direct, 'bare proxy': bare, gateway: through })) {
    const added = (share: number) => (at(way.took, share) - at(direct.took, share)).toFixed(2);
    console.log(
      `  ${name}: p50 ${ms(way.took, 0.5)}, p99 ${ms(way.took, 0.99)} ms; added p50 ${added(0.5)}, p99 ${added(0.99)} ms`,
    );
  }
  const ratio = (of: { cpu: number }) => (through.cpu / of.cpu).toFixed(2);
  console.log(
    `  processor time of a request: pod ${direct.cpu.toFixed(3)}, bare proxy ${bare.cpu.toFixed(3)}, gateway ${through.cpu.toFixed(3)} ms; ` +
      `gateway ÷ bare proxy ${ratio(bare)}, gateway ÷ pod ${ratio(direct)}`,
  );
  console.log('  wanted of the gateway: added p50 1, p99 5 ms at 1000 requests/s');
}

/** Held requests: from the moment that the gateway hears of a ready pod until the pod has them. */
async function release({ pod, gateway }: Parts, isAnnounced: boolean): Promise<void> {
  const delays: number[] = [];
  let answered = 0;
  await ask(pod, 'think');
  for (let round = 0; round < rounds; round++) {
    await ask(gateway, 'down');
    await ask(pod, 'hangUp'); // a pod that starts has no connections
    await askArrivals(pod);
    const client = new Client(gateway.port);
    const request = requestOf(2048);
    const answers = Array.from({ length: waiters }, () => client.send(request));
    while ((await ask(gateway, 'held')) < waiters) await sleep(10);
    if (isAnnounced) {
      await ask(gateway, 'announce');
      await sleep(announcedMs);
    }
    const readyAt = await ask(gateway, 'up');
    answered += (await Promise.all(answers)).length;
    delays.push(...(await askArrivals(pod)).map((arrival) => arrival - readyAt));
    client.close();
  }
  const how = isAnnounced ? `address known ${announcedMs} ms before` : 'address not known before';
  console.log(`${waiters} waiters, ${how}: ${answered} of ${waiters * rounds} answered`);
  console.log(
    `  pod ready → request at the pod: p50 ${ms(delays, 0.5)}, p95 ${ms(delays, 0.95)} (wanted 50), max ${ms(delays, 1)} ms`,
  );
}

/** Requests that are held, and whose clients leave. */
async function leak({ gateway }: Parts): Promise<void> {
  await ask(gateway, 'down');
  const request = requestOf(1);
  const abandon = async (count: number) => {
    for (let done = 0; done < count; done += 500) {
      const client = new Client(gateway.port);
      const sent = Array.from({ length: 500 }, () => client.send(request));
      const left = Promise.allSettled(sent);
      while ((await ask(gateway, 'held')) < 500) await sleep(5);
      client.close();
      await left;
      while ((await ask(gateway, 'held')) > 0) await sleep(5);
    }
  };
  await abandon(abandoned);
  const before = await ask(gateway, 'memory');
  await abandon(abandoned);
  const grown = (((await ask(gateway, 'memory')) / before - 1) * 100).toFixed(2);
  console.log(`${abandoned} held and abandoned, after as many: heap ${grown} % (wanted ≤ 2)`);
}

/** A pod that goes and comes, and a request that is held in between. */
async function cycle({ gateway }: Parts): Promise<void> {
  const client = new Client(gateway.port);
  const request = requestOf(2048);
  const run = async (count: number) => {
    for (let done = 0; done < count; done++) {
      await ask(gateway, 'down');
      const answer = client.send(request);
      while ((await ask(gateway, 'held')) < 1) await sleep(1);
      await ask(gateway, 'up');
      await answer;
    }
  };
  await run(cycles);
  const before = await ask(gateway, 'memory');
  await run(cycles);
  const grown = (((await ask(gateway, 'memory')) / before - 1) * 100).toFixed(2);
  client.close();
  console.log(`${cycles} wakes, after as many: heap ${grown} % (wanted ≤ 2)`);
}

console.log(
  `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} threads, Node.js ${process.version}`,
);
const pod = await start('pod');
const [proxy, gateway] = await Promise.all([start('proxy', pod.port), start('gateway', pod.port)]);
const parts = { pod, proxy, gateway };
await ask(gateway, 'up');
const measurements = {
  latency: () => addedLatency(parts),
  leak: () => leak(parts),
  wakes: () => cycle(parts),
  release: async () => {
    await release(parts, false);
    await release(parts, true);
  },
};
const wanted = process.argv.slice(2);
for (const [name, measure] of Object.entries(measurements)) {
  if (wanted.length === 0 || wanted.includes(name)) await measure();
}
for (const { child } of Object.values(parts)) child.disconnect();
