import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../../../common/clock.ts';
import {
  type CallOptions,
  findApiServer,
  fromKubeConfig,
  fromPod,
} from '../../../../operator/kube/api-server.ts';
import { FakeClock } from '../../../support/clock.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

async function authenticated(server: ReturnType<typeof fromPod>): Promise<CallOptions> {
  const options: CallOptions = { headers: { accept: 'x' } };
  await server.authenticate(options);
  return options;
}

describe('the API server, from a pod', () => {
  const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' };

  it('is where the environment says', async () => {
    const found = await findApiServer(env, systemClock);
    const v6 = fromPod({ host: 'fd00::1', port: '6443', folder: '/' }, systemClock);

    assert.equal(found.url.href, 'https://10.0.0.1/');
    assert.equal(v6.url.href, 'https://[fd00::1]:6443/');
  });

  it('is shown the token of the account, beside the headers of the call', async () => {
    using folder = temporaryFolder();
    await writeFile(`${folder.path}/ca.crt`, 'authority');
    await writeFile(`${folder.path}/token`, 'first\n');

    const server = fromPod({ host: 'h', port: '1', folder: folder.path }, systemClock);
    const options = await authenticated(server);

    assert.equal(options.ca, 'authority');
    assert.deepEqual(options.headers, { accept: 'x', authorization: 'Bearer first' });
  });

  it('is shown the token that took the place of an old one, within a minute', async () => {
    using folder = temporaryFolder();
    await writeFile(`${folder.path}/ca.crt`, 'authority');
    await writeFile(`${folder.path}/token`, 'first');
    const clock = new FakeClock();
    const server = fromPod({ host: 'h', port: '1', folder: folder.path }, clock);
    await authenticated(server);
    await writeFile(`${folder.path}/token`, 'second');

    const kept = await authenticated(server);
    await clock.step(60_000);
    const renewed = await authenticated(server);

    assert.deepEqual(
      [kept, renewed].map(({ headers }) => headers && Object.values(headers).at(-1)),
      ['Bearer first', 'Bearer second'],
    );
  });

  it('is asked for again after its account could not be read', async () => {
    using folder = temporaryFolder();
    const server = fromPod({ host: 'h', port: '1', folder: folder.path }, systemClock);

    await assert.rejects(authenticated(server), { code: 'ENOENT' });
    await writeFile(`${folder.path}/ca.crt`, 'authority');
    await writeFile(`${folder.path}/token`, 'late');

    assert.equal((await authenticated(server)).ca, 'authority');
  });
});

describe('the API server, from a kubeconfig', () => {
  it('has the address and the credentials that it names', async () => {
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      { name: 'c', server: 'https://k.example/proxy', skipTLSVerify: true },
      { name: 'u', token: 'secret' },
    );

    const server = fromKubeConfig(config);
    const options = await authenticated(server);

    assert.equal(server.url.href, 'https://k.example/proxy');
    assert.match(JSON.stringify(options.headers), /Bearer secret/);
  });

  it('must be in it', () => {
    assert.throws(() => fromKubeConfig(new KubeConfig()), { code: 'CONFIGURATION_INVALID' });
  });
});
