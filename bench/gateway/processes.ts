// The processes of the measurement, each one of its own: a pod that answers at once, a gateway over it, and what both are
// compared with: a proxy of Node.js without anything of ours.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import {
  type AddressInfo,
  createServer as createNetServer,
  type Server,
  type Socket,
} from 'node:net';
import { systemClock } from '../../common/clock.ts';
import { listen } from '../../common/http.ts';
import { silentLogger } from '../../common/log.ts';
import { noReviews } from '../../operator/gateway/access/reviews.ts';
import { createGateway } from '../../operator/gateway/gateway.ts';
import { endpoint, FakeBackend, model, settings, state } from '../../test/support/gateway-kit.ts';
import { messageOf, readMessages } from './http1.ts';

export const host = '127.0.0.1';
/** As our servers and the pools of clients have it. Milliseconds. */
const keepAliveTimeout = 75_000;

/** Milliseconds since the epoch, comparable between processes, to a fraction. */
const epoch = (): number => performance.timeOrigin + performance.now();

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Answers the orders of its parent, and ends with it. */
function obey(orders: Readonly<Record<string, () => unknown>>): void {
  process.on('message', (order: string) => {
    const at = epoch();
    process.send?.((order === 'cpu' ? cpuMs() : orders[order]?.()) ?? at);
  });
}

async function tellPort(server: Server): Promise<void> {
  server.listen(0, host, 4096);
  await once(server, 'listening');
  process.send?.((server.address() as AddressInfo).port);
}

/** What a pass takes, while all requests that were held come: what writes answers does not read requests. Milliseconds. */
const thinkMs = 300;

/** Answers whatever is asked, at once or after it has thought, and tells when each request arrived. */
async function pod(): Promise<void> {
  const json = 'content-type: application/json';
  const answer = messageOf('HTTP/1.1 200 OK', [json], Buffer.from('{"logprobs":[[null,-1]]}'));
  const stream = `HTTP/1.1 200 OK\r\n${json}\r\n\r\n${JSON.stringify(state())}\n`;
  const sockets = new Set<Socket>();
  let arrivals: number[] = [];
  let isThinking = false;
  const server = createNetServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}); // it closes then
    socket.once('close', () => sockets.delete(socket));
    readMessages(socket, ({ at, head }) => {
      const isWork = head.startsWith('POST');
      if (isWork) arrivals.push(performance.timeOrigin + at);
      if (isWork && isThinking) setTimeout(() => socket.write(answer), thinkMs);
      else socket.write(head.startsWith('GET /state') ? stream : answer);
    });
  });
  obey({
    arrivals: () => {
      const told = arrivals;
      arrivals = [];
      return told;
    },
    think: () => {
      isThinking = true;
    },
    hangUp: () => {
      for (const socket of sockets) socket.destroy();
    },
  });
  await tellPort(server);
}

/** What a proxy costs that does nothing: streams from one connection to another, both kept. */
async function proxy(podPort: number): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const server = createServer({ keepAliveTimeout }, (req, res) => {
    const { method, url: path, headers } = req;
    const sent = request({ host, port: podPort, agent, method, path, headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    req.pipe(sent);
  });
  obey({});
  await tellPort(server);
}

/** A whole gateway over one endpoint, which its parent brings up and down. */
async function gateway(podPort: number): Promise<void> {
  const ready = endpoint({ port: podPort });
  const hold = { timeoutMs: undefined, maxRequests: 20_000, maxBytes: 2 ** 30 };
  const backend = new FakeBackend(model({ concurrency: 10_000, hold }));
  const made = createGateway({
    name: 'g',
    backend,
    reviews: noReviews,
    guardsManagement: false,
    hasConsole: false,
    settings: settings({ holdMaxRequests: 20_000, holdMaxBytes: 2 ** 30, maxBodyBytes: 2 ** 26 }),
    clock: systemClock,
    log: silentLogger,
  });
  obey({
    announce: () => backend.announce(ready),
    up: () => backend.up(ready),
    down: () => backend.down(ready),
    held: () => made.report().models[0]?.held ?? 0,
    memory: () => {
      globalThis.gc?.();
      return process.memoryUsage().heapUsed;
    },
  });
  const traffic = await listen(made.traffic, 0, host);
  process.send?.(traffic.port);
}

const roles: Readonly<Record<string, (podPort: number) => Promise<void>>> = { pod, proxy, gateway };

export interface Part {
  readonly child: ChildProcess;
  readonly port: number;
}

export async function start(role: 'pod' | 'proxy' | 'gateway', podPort = 0): Promise<Part> {
  const execArgv = process.execArgv;
  const child = fork(import.meta.filename, [role, String(podPort)], { execArgv });
  return { child, port: (await answerOf(child)) as number };
}

/** What the process answers to the order; to one without an answer, when it had it: milliseconds since the epoch. */
export async function ask(part: Part, order: string): Promise<number> {
  return (await tell(part, order)) as number;
}

export async function askArrivals(part: Part): Promise<number[]> {
  return (await tell(part, 'arrivals')) as number[];
}

function tell({ child }: Part, order: string): Promise<unknown> {
  const answer = answerOf(child);
  child.send(order);
  return answer;
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const [answer] = await once(child, 'message');
  return answer;
}

const [, file, role = '', podPort] = process.argv;
if (file === import.meta.filename) {
  process.once('disconnect', () => process.exit());
  await roles[role]?.(Number(podPort));
}
