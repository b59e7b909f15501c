import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Arguments,
  type CommandSpec,
  command,
  helpText,
  readArguments,
} from '../../../common/command.ts';

const spec: CommandSpec = {
  name: 'bake',
  takes: 'CAKE [options]',
  about: 'Bakes.',
  options: {
    heat: { value: 'DEGREES', help: 'how hot' },
    topping: { value: 'NAME', short: 't', multiple: true, help: 'what goes on it' },
    fast: { help: 'at once' },
  },
};

describe('a command', () => {
  it('names each option in its help, and help itself', () => {
    const text = helpText(spec);

    assert.match(text, /^usage: refmodel bake CAKE \[options\]\n\nBakes\.\n/);
    for (const name of ['--heat DEGREES', '-t, --topping NAME', '--fast', '-h, --help']) {
      assert.ok(text.includes(`  ${name} `), name);
    }
  });

  it('reads what stands in the help', () => {
    const argv = ['apple', '--heat', '180', '-t', 'a', '--topping=b', '--fast'];
    const args = readArguments(spec, argv);

    assert.deepEqual(args?.positionals, ['apple']);
    assert.deepEqual([args?.value('heat'), args?.values('topping')], ['180', ['a', 'b']]);
    assert.deepEqual([args?.has('fast'), args?.has('heat')], [true, true]);
    assert.deepEqual(readArguments(spec, [])?.has('fast'), false);
  });

  it('takes the last of a value that is given twice', () => {
    assert.equal(readArguments(spec, ['--heat', '1', '--heat', '2'])?.value('heat'), '2');
  });

  it('runs with its arguments, and not at all when help is asked for or it is given wrong', async () => {
    const ran: Arguments[] = [];
    const { main, usage } = command(spec, async (args) => void ran.push(args));

    await main({}, ['apple']);
    await main({}, ['-h']);
    await assert.rejects(main({}, ['--cold']), { code: 'USAGE' });

    assert.deepEqual(
      ran.map(({ positionals }) => positionals),
      [['apple']],
    );
    assert.equal(usage, helpText(spec));
  });

  for (const argv of [['--cold'], ['--heat'], ['--fast=yes']]) {
    it(`refuses ${argv.join(' ')} as wrong use`, () => {
      assert.throws(() => readArguments(spec, argv), { code: 'USAGE' });
    });
  }
});
