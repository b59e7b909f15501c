import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { createApp, finish, listen } from '../../../common/http.ts';
import { silentLogger } from '../../../common/log.ts';
import { eventually } from '../../support/eventually.ts';

const patient = { headersMs: 30_000, requestMs: 60_000, checkMs: 20, connections: 8 };
const impatient = { ...patient, headersMs: 500, requestMs: 1000 };

/** A server that reads a body before it answers "done". */
async function served(limits = impatient) {
  const app = createApp();
  app.post('/', (req, res) => void req.resume().once('end', () => void res.send('done')));
  finish(app, silentLogger);
  const listening = await listen(app, 0, '127.0.0.1', limits);
  const { port } = listening;
  return {
    port,
    post: async () =>
      (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'x' })).text(),
    [Symbol.asyncDispose]: () => listening.close(),
  };
}

/** What comes back until the server closes the connection. */
async function answerTo(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1');
  });
  socket.on('error', () => {}); // a reset is an end too
  socket.write(text);
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return answer;
}

describe('the limits of a server', () => {
  it('cut off headers that do not end', async () => {
    await using server = await served();

    const answer = await answerTo(server.port, 'POST / HTTP/1.1\r\nHost: a\r\nX-Slow: ');

    assert.match(answer, /^HTTP\/1\.1 408 /);
  });

  it('cut off a body that does not come, while others are answered', async () => {
    await using server = await served();
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n';

    const slow = answerTo(server.port, `${head}only this`);
    const other = await server.post();

    assert.equal(other, 'done');
    assert.match(await slow, /^HTTP\/1\.1 408 /);
  });

  it('close connections beyond a number, and take new ones when others have gone', async () => {
    await using server = await served(patient);
    const idle = Array.from({ length: patient.connections }, () =>
      connect(server.port, '127.0.0.1'),
    );
    await Promise.all(idle.map((socket) => once(socket, 'connect')));

    const refused = await answerTo(server.port, 'POST / HTTP/1.1\r\nHost: a\r\n\r\n');
    for (const socket of idle) socket.destroy();

    assert.equal(refused, '');
    await eventually(async () => assert.equal(await server.post(), 'done', 'no new connection'));
  });

  it('refuse headers that are too long', async () => {
    await using server = await served();

    const answer = await answerTo(
      server.port,
      `POST / HTTP/1.1\r\nHost: a\r\nX-Long: ${'a'.repeat(40_000)}\r\n\r\n`,
    );

    assert.match(answer, /^HTTP\/1\.1 431 /);
  });
});
