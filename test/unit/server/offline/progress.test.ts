import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { progressText } from '../../../../server/offline/progress.ts';

describe('progressText', () => {
  it('is a bar on a terminal, and a line elsewhere', () => {
    const progress = { lines: 3, bytes: 50 };

    assert.match(progressText(progress, 100, true), /^\r\[={15} {15}\] 50 %, 3 lines$/);
    assert.equal(progressText(progress, 100, false), '50 %, 3 lines\n');
    assert.match(progressText({ lines: 0, bytes: 0 }, 0, false), /100 %/);
  });
});
