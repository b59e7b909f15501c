import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Clock, systemClock } from '../../../../common/clock.ts';
import { clusterSource } from '../../../../operator/cli/cluster.ts';
import { consoleState } from '../../../../operator/gateway/console/state.ts';
import { classManifest, modelManifest } from '../../../support/builders.ts';
import { FakeClock } from '../../../support/clock.ts';
import { snapshot } from '../../../support/console-kit.ts';
import { eventually } from '../../../support/gateway-kit.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const never = new AbortController().signal;
const proxied = '/api/v1/namespaces/refmodel-system/services';
const listOf = (item: object) => ({ metadata: { resourceVersion: '1' }, items: [item] });

describe('a cluster as a source', () => {
  const answers = new Map<string, { status: number; body: object }>();
  const asked: string[] = [];
  const silent = new Set<string>();
  const server = createServer((req, res) => {
    const path = (req.url ?? '').split('?', 1)[0] ?? '';
    asked.push(`${req.method} ${path}`);
    if (silent.has(path)) return;
    const { status, body } = answers.get(path) ?? { status: 403, body: { message: 'forbidden' } };
    res.writeHead(status, { 'content-type': 'application/json' });
    res.end(JSON.stringify(body));
  });
  const folder = temporaryFolder();
  const previous = process.env['KUBECONFIG'];
  const open = (clock: Clock = systemClock) =>
    clusterSource({
      url: undefined,
      token: undefined,
      namespace: undefined,
      context: undefined,
      system: 'refmodel-system',
      clock,
    });

  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const file = join(folder.path, 'config');
    writeFileSync(
      file,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'c',
        contexts: [{ name: 'c', context: { cluster: 'c', user: 'u', namespace: 'team' } }],
        clusters: [
          {
            name: 'c',
            cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true },
          },
        ],
        users: [{ name: 'u', user: {} }],
      }),
    );
    process.env['KUBECONFIG'] = file;
  });
  after(() => {
    if (previous === undefined) delete process.env['KUBECONFIG'];
    else process.env['KUBECONFIG'] = previous;
    server.close();
    server.closeAllConnections();
    folder[Symbol.dispose]();
  });

  it('asks a gateway by the proxy of the API server, in the namespace of the context', async () => {
    const path = `${proxied}/refmodel-gateway-admin:8081/proxy/console/state`;
    answers.set(path, { status: 200, body: consoleState(snapshot()) });
    using source = open();

    const state = await source.state(never);

    assert.equal(source.namespace, 'team');
    assert.equal(state.gateway, 'gateway-0');
    assert.equal(asked.at(-1), `GET ${path}`);
    answers.clear();
  });

  it('shows the objects to who may not use the proxy', async () => {
    const kinds = '/apis/refmodel.dev/v1alpha1';
    answers.set(`${kinds}/referencemodels`, { status: 200, body: listOf(modelManifest()) });
    answers.set(`${kinds}/gpuclasses`, { status: 200, body: listOf(classManifest()) });
    using source = open();

    const state = await source.state(never);

    assert.deepEqual(
      state.models.map(({ name }) => name),
      ['rl/tiny'],
    );
    answers.clear();
  });

  it('waits for a gateway that nobody reaches once, and not for long', async () => {
    const path = `${proxied}/refmodel-gateway-admin:8081/proxy/console/state`;
    silent.add(path);
    const clock = new FakeClock();
    const kinds = '/apis/refmodel.dev/v1alpha1';
    answers.set(`${kinds}/referencemodels`, { status: 200, body: listOf(modelManifest()) });
    answers.set(`${kinds}/gpuclasses`, { status: 200, body: listOf(classManifest()) });
    using source = open(clock);
    const before = asked.length;

    const state = source.state(never);
    await eventually(() => asked.length > before);
    await clock.step(5000);
    await state;
    await source.state(never);

    assert.equal(asked.slice(before).filter((line) => line === `GET ${path}`).length, 1);
    silent.clear();
    answers.clear();
  });

  it('tells the error of a gateway in its own words, and that of the API server in its', async () => {
    const path = `${proxied}/refmodel-gateway:80/proxy/cache/rl/tiny`;
    answers.set(path, {
      status: 404,
      body: { error: { code: 'MODEL_NOT_FOUND', message: 'gone' } },
    });
    using source = open();
    const put = (name: string) => source.send({ method: 'PUT', path: `/cache/${name}` }, never);

    await assert.rejects(put('rl/tiny'), { code: 'MODEL_NOT_FOUND', message: 'gone' });
    await assert.rejects(put('rl/other'), { code: 'KUBERNETES_API', message: /forbidden/ });
    answers.clear();
  });

  it('says how to come with a token where a gateway wants one', async () => {
    answers.set(`${proxied}/refmodel-gateway:80/proxy/cache/rl/guarded`, {
      status: 401,
      body: { error: { code: 'UNAUTHENTICATED', message: 'a token is wanted' } },
    });
    using source = open();

    await assert.rejects(source.send({ method: 'PUT', path: '/cache/rl/guarded' }, never), {
      code: 'UNAUTHENTICATED',
      message: /^a token is wanted; .*--token-file/,
    });
    answers.clear();
  });
});
