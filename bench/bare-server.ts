// A server of Node.js with nothing of ours, as a process of its own: parses a JSON body and answers one. It tells its port.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  await json(req);
  const text = JSON.stringify({ logprobs: [[null, -1, -2, -3, -4, -5, -6, -7]] });
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
  res.end(text);
}

const server = createServer((req, res) => void answer(req, res));
process.once('disconnect', () => process.exit());
server.listen(0, '127.0.0.1');
await once(server, 'listening');
process.send?.((server.address() as AddressInfo).port);
