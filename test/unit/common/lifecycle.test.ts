import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';

const script = `
  import { run } from './common/lifecycle.ts';
  import { silentLogger } from './common/log.ts';
  const say = (text) => process.stdout.write(text + '\\n');
  await run({ log: silentLogger, drainDelayMs: 10, closeTimeoutMs: 200 }, async (signal) => {
    signal.addEventListener('abort', () => say('aborted'));
    const keep = setInterval(() => {}, 1000);
    setTimeout(() => say('started'), 0);
    return {
      drain: () => say('drain'),
      close: async () => {
        say('close');
        clearInterval(keep);
        if (process.argv.includes('hang')) await new Promise(() => {});
      },
      failed: new Promise((_, reject) => {
        if (process.argv.includes('fail')) setTimeout(() => reject(new Error('part failed')), 20);
      }),
    };
  });
`;

const start = (...args: string[]): ChildProcess =>
  spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });

async function outcome(child: ChildProcess, act: (text: string) => void) {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    act(text);
  });
  const [code] = (await once(child, 'exit')) as [number];
  return { code, lines: text.trim().split('\n') };
}

/** Calls `act` once, when the child says that it has started. */
const onceStarted = (act: () => void) => {
  let done = false;
  return (text: string) => {
    if (done || !text.includes('started')) return;
    done = true;
    act();
  };
};

describe('lifecycle', () => {
  it('on SIGTERM becomes unready, then aborts and closes, then exits with 0', async () => {
    const child = start();

    const { code, lines } = await outcome(
      child,
      onceStarted(() => child.kill('SIGTERM')),
    );

    assert.equal(code, 0);
    assert.deepEqual(lines, ['started', 'drain', 'aborted', 'close']);
  });

  it('ends when the parent that forked it goes', async () => {
    const child = start();

    const { code, lines } = await outcome(
      child,
      onceStarted(() => child.disconnect()),
    );

    assert.equal(code, 0);
    assert.equal(lines.at(-1), 'close');
  });

  it('exits with 1 when a part of it fails', async () => {
    const { code } = await outcome(start('fail'), () => {});

    assert.equal(code, 1);
  });

  it('exits with 1 when closing takes too long', async () => {
    const child = start('hang');

    const { code } = await outcome(
      child,
      onceStarted(() => child.kill('SIGTERM')),
    );

    assert.equal(code, 1);
  });
});
