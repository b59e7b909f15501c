import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { main } from '../../../../operator/gateway/local.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const manifest = `
apiVersion: refmodel.dev/v1alpha1
kind: ReferenceModel
metadata: {name: tiny}
spec: {model: {persistentVolumeClaim: {claimName: models}}}
`;

describe('refmodel local refuses', () => {
  const cases: { name: string; argv: (folder: string) => string[]; want: string; says?: RegExp }[] =
    [
      { name: 'no manifest', argv: () => [], want: 'USAGE' },
      {
        name: 'a flag that it does not know',
        argv: () => ['m.yaml', '--gpu'],
        want: 'USAGE',
      },
      {
        name: 'a port that is none',
        argv: () => ['m.yaml', '--port', 'http'],
        want: 'USAGE',
      },
      {
        name: 'a port above the last one',
        argv: () => ['m.yaml', '--port', '65536'],
        want: 'USAGE',
      },
      {
        name: 'a manifest that is not there',
        argv: (at) => [join(at, 'none.yaml')],
        want: 'MANIFEST_INVALID',
      },
      {
        name: 'manifests without a model',
        argv: (at) => [join(at, 'empty.yaml')],
        want: 'MANIFEST_INVALID',
      },
      {
        name: 'a claim without a folder',
        argv: (at) => [join(at, 'm.yaml')],
        want: 'CONFIGURATION_INVALID',
        says: /--volume models=/,
      },
      {
        name: 'a volume that is no folder',
        argv: (at) => [join(at, 'm.yaml'), '--volume', `models=${at}/none`],
        want: 'CONFIGURATION_INVALID',
      },
      {
        name: 'a volume without a name',
        argv: (at) => [join(at, 'm.yaml'), '--volume', at],
        want: 'CONFIGURATION_INVALID',
      },
    ];
  for (const { name, argv, want, says = /./ } of cases) {
    it(`${name}: ${want}`, async () => {
      using folder = temporaryFolder();
      await writeFile(join(folder.path, 'm.yaml'), manifest);
      await writeFile(join(folder.path, 'empty.yaml'), 'apiVersion: v1\nkind: ConfigMap\n');

      await assert.rejects(main({}, argv(folder.path)), { code: want, message: says });
    });
  }

  it('a setting that it does not know', async () => {
    await assert.rejects(main({ REFMODEL_NONE: '1' }, ['m.yaml']), {
      code: 'CONFIGURATION_INVALID',
    });
  });

  it('a port that is taken', async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, 'm.yaml');
    await writeFile(file, manifest);
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    const argv = [file, '--volume', `models=${folder.path}`, '--port', String(port)];

    await assert.rejects(main({}, argv), { code: 'CONFIGURATION_INVALID', message: /--port/ });

    taken.close();
  });
});
