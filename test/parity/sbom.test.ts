import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);

interface Bom {
  readonly components: readonly { readonly 'bom-ref': string }[];
}

describe('npm run sbom', () => {
  it('names every package that we depend on, in its version', async () => {
    const { dependencies } = JSON.parse(await readFile('package.json', 'utf8')) as {
      dependencies: Record<string, string>;
    };

    const { stdout } = await run('npm', ['run', '--silent', 'sbom'], { maxBuffer: 2 ** 26 });

    const { components } = JSON.parse(stdout) as Bom;
    const named = new Set(components.map((component) => component['bom-ref']));
    for (const [name, version] of Object.entries(dependencies)) {
      assert.ok(named.has(`${name}@${version}`), `${name} ${version} is missing`);
    }
  });
});

describe('dependencies', () => {
  it('are pinned to one version each', async () => {
    const { dependencies, devDependencies } = JSON.parse(
      await readFile('package.json', 'utf8'),
    ) as Record<string, Record<string, string>>;

    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      assert.match(version, /^\d+\.\d+\.\d+$/, `${name} ${version}`);
    }
  });
});
