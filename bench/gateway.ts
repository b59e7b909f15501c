// What the gateway adds to a request, how fast it lets held requests go, and what it keeps of those that left:
// `node --expose-gc --import tsx bench/gateway.ts`. Client, gateway and pod are processes of their own; the pod answers
// at once, so that all time is the way there and back. Direct and through the gateway take turns, second by second.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism, cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../common/clock.ts';
import { listen } from '../common/http.ts';
import { silentLogger } from '../common/log.ts';
import { createGateway } from '../operator/gateway/gateway.ts';
import { endpoint, FakeBackend, model, settings, state } from '../test/support/gateway-kit.ts';

const host = '127.0.0.1';
const bodyBytes = 64 * 1024;
const perSecond = Number(process.env['BENCH_RATE'] ?? 1000);
const turns = Number(process.env['BENCH_TURNS'] ?? 10);
const waiters = 500;
const rounds = 10;
const abandoned = 10_000;
const cycles = 1000;

/** Milliseconds since the epoch, comparable between processes, to a fraction. */
const epoch = (): number => performance.timeOrigin + performance.now();

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Answers whatever is asked, and tells its parent when each request arrived. */
async function pod(): Promise<void> {
  const answer = JSON.stringify({ logprobs: [[null, -1]] });
  const server = createServer({ keepAliveTimeout: 75_000 }, (req, res) => {
    if (req.url?.startsWith('/state')) {
      res.write(`${JSON.stringify(state())}\n`);
      return;
    }
    arrivals.push(epoch());
    req.resume().once('end', () => {
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
      res.end(answer);
    });
  });
  let arrivals: number[] = [];
  process.on('message', (order: string) => {
    process.send?.(order === 'cpu' ? cpuMs() : arrivals);
    if (order === 'arrivals') arrivals = [];
  });
  server.listen(0, host, 4096);
  await once(server, 'listening');
  process.send?.((server.address() as AddressInfo).port);
}

/** A whole gateway over one endpoint, which its parent brings up and down. */
async function gateway(): Promise<void> {
  const ready = endpoint({ port: Number(process.argv[3]) });
  const backend = new FakeBackend(
    model({
      concurrency: 10_000,
      hold: { timeoutMs: undefined, maxRequests: 20_000, maxBytes: 2 ** 30 },
    }),
  );
  const limits = settings({
    holdMaxRequests: 20_000,
    holdMaxBytes: 2 ** 30,
    maxBodyBytes: 2 ** 26,
  });
  const made = createGateway({
    name: 'g',
    backend,
    settings: limits,
    clock: systemClock,
    log: silentLogger,
  });
  const orders: Record<string, () => unknown> = {
    up: () => backend.up(ready),
    down: () => backend.down(ready),
    held: () => made.report().models[0]?.held ?? 0,
    cpu: cpuMs,
    memory: () => {
      globalThis.gc?.();
      return process.memoryUsage().heapUsed;
    },
  };
  process.on('message', (order: string) => {
    const at = epoch();
    const answer = orders[order]?.();
    process.send?.(answer ?? at);
  });
  const traffic = await listen(made.traffic, 0, host);
  process.send?.(traffic.port);
}

async function client(): Promise<void> {
  console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} threads`);
  const podProcess = start('pod');
  const podPort = await told(podProcess);
  const gatewayProcess = start('gateway', String(podPort));
  const gatewayPort = await told(gatewayProcess);
  await ask(gatewayProcess, 'up');
  await addedLatency({ podProcess, gatewayProcess }, { podPort, gatewayPort });
  await release({ podProcess, gatewayProcess, gatewayPort });
  await leak(gatewayProcess, gatewayPort);
  await cycle(gatewayProcess, gatewayPort);
  podProcess.kill();
  gatewayProcess.kill();
}

async function addedLatency(
  parts: { podProcess: ChildProcess; gatewayProcess: ChildProcess },
  { podPort, gatewayPort }: { podPort: number; gatewayPort: number },
): Promise<void> {
  const body = bodyOf(bodyBytes);
  const agents = { direct: newAgent(), through: newAgent() };
  await second(podPort, agents.direct, body); // warm-up
  await second(gatewayPort, agents.through, body);
  const cpu = () => Promise.all([ask(parts.podProcess, 'cpu'), ask(parts.gatewayProcess, 'cpu')]);
  const before = await cpu();
  const direct: number[] = [];
  const through: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    direct.push(...(await second(podPort, agents.direct, body)));
    through.push(...(await second(gatewayPort, agents.through, body)));
  }
  const [ofPod = 0, ofGateway = 0] = (await cpu()).map((now, i) => now - (before[i] ?? 0));
  const podPart = ofPod / (2 * through.length);
  const gatewayPart = ofGateway / through.length;
  for (const agent of Object.values(agents)) agent.destroy();
  const added = (share: number) => (at(through, share) - at(direct, share)).toFixed(2);
  console.log(`${perSecond} requests/s of ${bodyBytes} bytes, ${turns} s each way`);
  console.log(`  direct p50 ${ms(direct, 0.5)}, p99 ${ms(direct, 0.99)} ms`);
  console.log(`  gateway p50 ${ms(through, 0.5)}, p99 ${ms(through, 0.99)} ms`);
  console.log(
    `  processor per request: gateway ${gatewayPart.toFixed(3)} ms, a bare server ${podPart.toFixed(3)} ms`,
  );
  console.log(`  added p50 ${added(0.5)} ms (wanted 1), p99 ${added(0.99)} ms (wanted 5)`);
}

/** One second of requests at an even pace, whether those before were answered or not. */
async function second(port: number, agent: Agent, body: Buffer): Promise<number[]> {
  const took: Promise<number>[] = [];
  const startedAt = performance.now();
  while (took.length < perSecond) {
    const due = Math.min(perSecond, ((performance.now() - startedAt) / 1000) * perSecond);
    while (took.length < due) took.push(timed(port, agent, body));
    await sleep(1);
  }
  return Promise.all(took);
}

async function timed(port: number, agent: Agent, body: Buffer): Promise<number> {
  const startedAt = performance.now();
  await post(port, agent, body);
  return performance.now() - startedAt;
}

/** Held requests: from the moment that the gateway hears of a pod until the pod has them. */
async function release(parts: {
  podProcess: ChildProcess;
  gatewayProcess: ChildProcess;
  gatewayPort: number;
}): Promise<void> {
  const { podProcess, gatewayProcess, gatewayPort } = parts;
  const delays: number[] = [];
  let answered = 0;
  for (let round = 0; round < rounds; round++) {
    await ask(gatewayProcess, 'down');
    await ask(podProcess, 'arrivals');
    const agent = newAgent();
    const answers = Array.from({ length: waiters }, () => post(gatewayPort, agent, bodyOf(2048)));
    while ((await ask(gatewayProcess, 'held')) < waiters) await sleep(10);
    const readyAt = await ask(gatewayProcess, 'up');
    answered += (await Promise.all(answers)).length;
    const arrivals = (await ask(podProcess, 'arrivals')) as unknown as number[];
    delays.push(...arrivals.map((arrival) => arrival - readyAt));
    agent.destroy();
  }
  console.log(`${waiters} waiters, ${rounds} times: ${answered} of ${waiters * rounds} answered`);
  console.log(
    `  pod ready → request at the pod: p50 ${ms(delays, 0.5)}, p95 ${ms(delays, 0.95)} (wanted 50), max ${ms(delays, 1)} ms`,
  );
}

/** Requests that are held, and whose clients leave. */
async function leak(gatewayProcess: ChildProcess, gatewayPort: number): Promise<void> {
  await ask(gatewayProcess, 'down');
  const abandon = async (count: number) => {
    for (let done = 0; done < count; done += 500) {
      const agent = newAgent();
      const sent = Array.from({ length: 500 }, () => leave(gatewayPort, agent));
      while ((await ask(gatewayProcess, 'held')) < 500) await sleep(5);
      for (const each of sent) each.destroy();
      while ((await ask(gatewayProcess, 'held')) > 0) await sleep(5);
      agent.destroy();
    }
  };
  await abandon(abandoned);
  const before = await ask(gatewayProcess, 'memory');
  await abandon(abandoned);
  const after = await ask(gatewayProcess, 'memory');
  const grown = ((after / before - 1) * 100).toFixed(2);
  console.log(`${abandoned} held and abandoned, after as many: heap ${grown} % (wanted ≤ 2)`);
}

/** A pod that goes and comes, and a request that is held in between. */
async function cycle(gatewayProcess: ChildProcess, gatewayPort: number): Promise<void> {
  const agent = newAgent();
  const body = bodyOf(2048);
  const run = async (count: number) => {
    for (let done = 0; done < count; done++) {
      await ask(gatewayProcess, 'down');
      const answer = post(gatewayPort, agent, body);
      while ((await ask(gatewayProcess, 'held')) < 1) await sleep(1);
      await ask(gatewayProcess, 'up');
      await answer;
    }
  };
  await run(cycles);
  const before = await ask(gatewayProcess, 'memory');
  await run(cycles);
  const grown = (((await ask(gatewayProcess, 'memory')) / before - 1) * 100).toFixed(2);
  agent.destroy();
  console.log(`${cycles} wakes, after as many: heap ${grown} % (wanted ≤ 2)`);
}

function leave(port: number, agent: Agent) {
  const sent = request({ host, port, agent, method: 'POST', path: '/v1/logprobs' });
  sent.on('error', () => {});
  sent.end('{"model":"rl/tiny"}');
  return sent;
}

const newAgent = () => new Agent({ keepAlive: true, maxFreeSockets: 1024 });
const bodyOf = (bytes: number): Buffer =>
  Buffer.from(`{"model":"rl/tiny","input_ids":"${'1'.repeat(bytes)}"}`);

function post(port: number, agent: Agent, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request({
      host,
      port,
      agent,
      method: 'POST',
      path: '/v1/logprobs',
      headers: { 'content-type': 'application/json', 'content-length': body.length },
    });
    sent.on('error', reject);
    sent.once('response', (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      res.once('end', () => (res.statusCode === 200 ? resolve() : reject(new Error(text))));
    });
    sent.end(body);
  });
}

function start(...args: string[]): ChildProcess {
  return fork(import.meta.filename, args, { execArgv: process.execArgv });
}
async function told(child: ChildProcess): Promise<number> {
  const [answer] = (await once(child, 'message')) as [number];
  return answer;
}
async function ask(child: ChildProcess, order: string): Promise<number> {
  const answer = told(child);
  child.send(order);
  return answer;
}

function at(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
const ms = (values: readonly number[], share: number): string => at(values, share).toFixed(2);

process.once('disconnect', () => process.exit()); // the client has failed
const roles: Record<string, () => Promise<void>> = { pod, gateway, client };
await roles[process.argv[2] ?? 'client']?.();
