import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProgressLine } from '../../../common/progress-line.ts';

const output = (isTTY: boolean) => {
  const written: string[] = [];
  return { isTTY, written, write: (text: string) => written.push(text) };
};

describe('a line of progress', () => {
  it('replaces itself in a terminal, whatever was longer before', () => {
    const out = output(true);
    const line = new ProgressLine(out);

    line.show('abc');
    line.show('d');
    line.end('e');

    assert.deepEqual(out.written, ['\rabc', '\rd  ', '\re', '\n']);
  });

  it('is a line for each change elsewhere', () => {
    const out = output(false);
    const line = new ProgressLine(out);

    for (const text of ['a', 'a', 'b']) line.show(text);
    line.end('c');

    assert.deepEqual(out.written, ['a\n', 'b\n', 'c\n']);
  });

  it('writes nothing when there was nothing', () => {
    const out = output(true);

    new ProgressLine(out)[Symbol.dispose]();

    assert.deepEqual(out.written, []);
  });
});
