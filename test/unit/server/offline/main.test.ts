import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { main } from '../../../../server/offline/main.ts';
import { goldenRows } from '../../../support/engine-kit.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

describe('refmodel score', () => {
  it('needs a model, an input and an output', async () => {
    await assert.rejects(main({}, ['--model', 'http://x']), { code: 'CONFIGURATION_INVALID' });
    await assert.rejects(
      main({}, ['--model', 'a', '--input', 'b', '--output', 'c', '--concurrency', '0']),
      {
        code: 'CONFIGURATION_INVALID',
      },
    );
  });

  it('serves manifests on this machine meanwhile', async () => {
    using folder = temporaryFolder();
    const [row] = goldenRows('examples/models/tiny-python-llama');
    const [input, output] = ['in.jsonl', 'out.jsonl'].map((name) => path.join(folder.path, name));
    writeFileSync(input!, `${JSON.stringify({ input_ids: row!.input_ids })}\n`);

    const model = [
      '--model',
      'examples/tiny-python-llama.yaml',
      '--volume',
      'models=examples/models',
    ];
    await main({}, [...model, '--input', input!, '--output', output!]);

    const { logprobs } = JSON.parse(readFileSync(output!, 'utf8'));
    assert.equal(logprobs[0], null);
    for (const [i, want] of row!.log_probs.entries()) {
      assert.ok(
        Math.abs(logprobs[i + 1] - want) < 5e-5,
        `token ${i + 1}: ${logprobs[i + 1]}, ${want}`,
      );
    }
  });
});
