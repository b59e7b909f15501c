import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { calibrationText } from '../../../../server/quant/calibration.ts';

const paragraphs = calibrationText.split(/\n{2,}/);

describe('the calibration text', () => {
  it('is long enough for tens of thousands of tokens, and short enough to ship', () => {
    const { length } = calibrationText;

    assert.ok(length > 60_000 && length < 200_000, `${length} characters`);
  });

  it('says nothing twice at length', () => {
    const long = paragraphs.filter(({ length }) => length > 80);

    assert.equal(new Set(long).size, long.length);
  });

  it('has several scripts and several kinds of text', () => {
    for (const kind of [/\p{Script=Han}/u, /\p{Script=Cyrillic}/u, /\p{Script=Arabic}/u]) {
      assert.match(calibrationText, kind);
    }
    for (const kind of ['\ndef ', '\nSELECT ', '\nUser: ', '"level":"error"', '∎', '#include']) {
      assert.ok(calibrationText.includes(kind), `there is no ${kind}`);
    }
  });

  it('has no halves of characters, and no control characters but line ends and tabs', () => {
    assert.doesNotMatch(calibrationText, /\p{Surrogate}/u);
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(calibrationText, /[\u0000-\u0008\u000b-\u001f]/u);
  });
});
