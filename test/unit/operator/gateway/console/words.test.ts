import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { consoleState } from '../../../../../operator/gateway/console/state.ts';
import {
  bar,
  bytesText,
  loadBar,
  loadsText,
} from '../../../../../operator/gateway/console/words.ts';
import { loaded, snapshot } from '../../../../support/console-kit.ts';

const loading = (progress?: { bytes: number; totalBytes: number }) =>
  consoleState(snapshot({ held: [loaded({ residency: 'Converting', progress })] }));

describe('words of a load', () => {
  it('say the phase, and how far it is where that is counted', () => {
    const half = loading({ bytes: 2 ** 30, totalBytes: 2 ** 31 });

    assert.equal(loadsText(loading()), 'rl/tiny: Converting');
    assert.match(loadsText(half), /^rl\/tiny: Converting 50% \[=+ +\] 50 %, 1\.0Gi of 2\.0Gi$/);
    assert.equal(loadsText(consoleState(snapshot({ held: [loaded()] }))), '');
    assert.equal(loadBar(consoleState(snapshot()).models[0] ?? assert.fail('no model')), '');
  });

  it('draw a bar that is never longer than itself', () => {
    assert.deepEqual([bar(0).length, bar(0.5).length, bar(7).length], [32, 32, 32]);
    assert.equal(bar(7), `[${'='.repeat(30)}]`);
  });

  it('count bytes as Kubernetes does', () => {
    assert.deepEqual([0, 1, 2 ** 20, 1.5 * 2 ** 30].map(bytesText), ['0Mi', '1Mi', '1Mi', '1.5Gi']);
  });
});
