import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readFlags, usage } from '../../../../server/offline/flags.ts';

const needed = ['--model', 'http://x', '--input', 'a.jsonl', '--output', 'b.parquet'];

describe('the flags of refmodel score', () => {
  it('have defaults', () => {
    assert.deepEqual(readFlags(needed), {
      model: 'http://x',
      input: 'a.jsonl',
      output: 'b.parquet',
      name: undefined,
      task: undefined,
      volumes: [],
      addsEos: true,
      temperature: 1,
      batchTokens: 16384,
      concurrency: 4,
    });
  });

  it('say what is scored', () => {
    const flags = readFlags([...needed, '--task', 'reward', '--no-eos', '--temperature', '0.7']);

    assert.deepEqual([flags?.task, flags?.addsEos, flags?.temperature], ['reward', false, 0.7]);
  });

  for (const wrong of [
    ['--model', 'http://x'],
    [...needed, '--concurrency', '0'],
    [...needed, '--task', 'other'],
    [...needed, '--unknown'],
  ]) {
    it(`are refused as ${wrong.slice(-2).join(' ')}`, () => {
      assert.throws(() => readFlags(wrong), { code: 'CONFIGURATION_INVALID' });
    });
  }

  it('are explained', () => {
    assert.equal(readFlags(['--help']), undefined);
    for (const flag of ['--task', '--no-eos', '--volume', '--name', '--batch-tokens']) {
      assert.ok(usage.includes(flag));
    }
  });
});
