import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { toClient, toPod } from '../../../../operator/gateway/message.ts';

describe('the headers of a request', () => {
  it('lose those of the connection and those that it names', () => {
    const headers = {
      connection: 'close, X-One , x-two',
      'x-one': '1',
      'x-two': '2',
      te: 'x',
      a: 'b',
    };

    assert.deepEqual(toPod(headers, { model: 'rl/tiny' }), {
      a: 'b',
      'x-refmodel-model': 'rl/tiny',
    });
  });

  it('lose what only a gateway says, and what is written anew', () => {
    const headers = {
      host: 'a',
      'content-length': '3',
      expect: '100-continue',
      'x-refmodel-model': 'other/model',
      'x-refmodel-run': 'mine',
      accept: '*/*',
    };

    assert.deepEqual(toPod(headers, { model: 'rl/tiny', caller: 'grpo' }), {
      accept: '*/*',
      'x-refmodel-model': 'rl/tiny',
      'x-refmodel-run': 'grpo',
    });
  });

  it('are left as they were', () => {
    const headers = { connection: 'keep-alive', accept: '*/*' };

    toPod(headers, { model: 'rl/tiny' });

    assert.deepEqual(headers, { connection: 'keep-alive', accept: '*/*' });
  });
});

describe('the headers of an answer', () => {
  it('lose those of the connection only', () => {
    const headers = {
      connection: 'keep-alive',
      'keep-alive': 'timeout=5',
      'transfer-encoding': 'chunked',
      'set-cookie': ['a=1', 'b=2'],
      'content-length': '3',
      'x-refmodel-digest': 'sha256:1',
    };

    assert.deepEqual(toClient(headers), {
      'set-cookie': ['a=1', 'b=2'],
      'content-length': '3',
      'x-refmodel-digest': 'sha256:1',
    });
  });
});
