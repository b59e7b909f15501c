import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../../common/log.ts';
import { applyClasses, readClasses } from '../../../../operator/controller/classes.ts';
import { classManifest } from '../../../support/builders.ts';
import { FakeClock } from '../../../support/clock.ts';
import { clientOf, never, until } from '../../../support/kube-kit.ts';
import { KubeServer } from '../../../support/kube-server.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const kind = 'refmodel.dev/v1alpha1/gpuclasses';
const named = (name: string) => classManifest({ metadata: { name } });

describe('readClasses', () => {
  it('reads every document, and passes over empty ones', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'classes.yaml');
    await writeFile(
      path,
      `---\n---\n${JSON.stringify(named('a'))}\n---\n${JSON.stringify(named('b'))}\n`,
    );

    const classes = await readClasses(path);

    assert.deepEqual(
      classes.map((object) => object.metadata.name),
      ['a', 'b'],
    );
  });

  it('refuses a document that is no object with a name', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'classes.yaml');
    await writeFile(path, 'just text');

    await assert.rejects(readClasses(path), { name: 'ZodError' });
  });
});

describe('applyClasses', () => {
  it('applies every class', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);

    await applyClasses(
      [named('a'), named('b')],
      { client, clock: new FakeClock(), log: silentLogger },
      never,
    );

    assert.notEqual(server.get(kind, 'a'), undefined);
    assert.notEqual(server.get(kind, 'b'), undefined);
    client.close();
  });

  it('tries again what the API server refused, and nothing else', async () => {
    await using server = await KubeServer.start();
    const clock = new FakeClock();
    let calls = 0;
    const client = clientOf(server, {
      observe: () => {
        calls += 1;
      },
    });
    server.failNext({ status: 404, reason: 'NotFound' });
    const applying = applyClasses(
      [named('a'), named('b')],
      { client, clock, log: silentLogger },
      never,
    );
    await until(() => clock.pending === 1);
    assert.equal(server.get(kind, 'a'), undefined);
    assert.notEqual(server.get(kind, 'b'), undefined);

    await clock.step(1000);
    await applying;

    assert.notEqual(server.get(kind, 'a'), undefined);
    assert.equal(calls, 3);
    client.close();
  });
});
