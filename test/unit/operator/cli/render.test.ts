import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stateText, table } from '../../../../operator/cli/render.ts';
import { consoleState } from '../../../../operator/gateway/console/state.ts';
import { loaded, snapshot } from '../../../support/console-kit.ts';

const error = { code: 'MODEL_TOO_LARGE', message: 'it needs more' };

describe('the state in a terminal', () => {
  it('says where a model is, what it takes of which budget, and how far it is from its checkpoint', () => {
    const memory = { host: 2 ** 30, device: 0 };
    const fidelity = { kl: 0.001234, meanAbsDelta: 0.1, maxAbsDelta: 0.5, tokens: 9 };
    const given = snapshot({
      held: [loaded({ memory, fidelity, lastUsed: '' })],
      pod: { limits: { host: 4 * 2 ** 30 } },
      demand: [
        { model: 'rl/tiny', inFlight: 2, held: 0, lastActivity: '2026-01-01T00:00:00.000Z' },
      ],
    });

    const text = stateText(consoleState(given), Date.parse('2026-01-01T00:05:00Z'));

    const [, row = ''] = text.split('\n');
    assert.deepEqual(row.split(/\s+/), [
      'rl/tiny',
      'Warm',
      '0',
      '2',
      'pod-a',
      '1.0Gi',
      '0.0012',
      '5m',
    ]);
    assert.match(text, /1\.0Gi of 4\.0Gi of the machine/);
  });

  it('says who waits, and what to do about an error', () => {
    const failed = snapshot({
      held: [loaded({ residency: 'Failed', error })],
      demand: [{ model: 'rl/tiny', inFlight: 0, held: 3, lastActivity: null }],
      waiting: () => [
        { caller: 'run-7', requests: 2 },
        { caller: '', requests: 1 },
      ],
    });

    const text = stateText(consoleState(failed), 0);

    assert.match(text, /3 wait: run-7 \(2\), nameless \(1\)/);
    assert.match(text, /MODEL_TOO_LARGE: it needs more/);
    assert.match(text, /remedy: \w+/);
  });

  it('aligns columns, and ends no line in blanks', () => {
    assert.equal(table(['A', 'B'], [['long', 'x']]), 'A      B\nlong   x\n');
  });
});
