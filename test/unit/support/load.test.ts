import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { listen } from '../../../common/http.ts';
import { Load } from '../../support/load.ts';

/** What is counted of one request, whose n-th try the server answers so. */
async function countOne(answer: (res: ServerResponse, n: number) => void) {
  let tries = 0;
  const server = await listen((_req, res) => answer(res, ++tries), 0, '127.0.0.1');
  try {
    const url = `http://127.0.0.1:${server.port}/v1/logprobs`;
    const load = new Load({ url, body: { input_ids: [[1]] }, callers: 1, pauseMs: 0 });
    return await load.stop();
  } finally {
    server.server.closeAllConnections();
    await server.close();
  }
}

const answerWell = (res: ServerResponse) => void res.end('{}');

describe('Load', () => {
  it('counts a request that is answered, and nothing as lost', async () => {
    const result = await countOne(answerWell);

    assert.deepEqual([result.answered, result.lost, result.lostForGood], [1, [], 0]);
  });

  it('counts tries that break off or fail as lost, and the request as answered when it is sent again', async () => {
    const result = await countOne((res, n) => {
      if (n === 1) res.destroy();
      else if (n === 2) res.writeHead(503, { 'retry-after-ms': '1' }).end('{}');
      else answerWell(res);
    });

    assert.deepEqual([result.answered, result.lost.length, result.lostForGood], [1, 2, 0]);
    assert.ok(result.lost.every(({ isUnsent }) => !isUnsent));
  });

  it('counts a request as lost for good when the client gives it up', async () => {
    const result = await countOne((res) => res.destroy());

    assert.deepEqual([result.answered, result.lost.length, result.lostForGood], [0, 3, 1]);
  });

  it('tells tries that found nobody from those that somebody had', async () => {
    const gone = createServer();
    const port = await new Promise<number>((resolve) => {
      gone.listen(0, '127.0.0.1', () => {
        const address = gone.address();
        gone.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
      });
    });
    const url = `http://127.0.0.1:${port}/v1/logprobs`;
    const result = await new Load({ url, body: {}, callers: 1, pauseMs: 0 }).stop();

    assert.ok(result.lost.every(({ isUnsent }) => isUnsent) && result.lost.length === 3);
  });
});
