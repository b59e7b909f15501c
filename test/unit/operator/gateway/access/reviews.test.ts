import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../../../../common/clock.ts';
import {
  fingerprint,
  KubernetesReviews,
  noReviews,
  wishOf,
} from '../../../../../operator/gateway/access/reviews.ts';
import { scoring } from '../../../../../operator/gateway/access/rights.ts';
import { fromKubeConfig } from '../../../../../operator/kube/api-server.ts';
import { KubeClient } from '../../../../../operator/kube/client.ts';

const never = new AbortController().signal;

/** Reviews over an API server that answers every question with this status. */
async function reviewsWith(status: object) {
  const questions: { path: string | undefined; body: unknown }[] = [];
  const server = createServer((req, res) => {
    let text = '';
    req.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    req.on('end', () => {
      questions.push({ path: req.url, body: JSON.parse(text) });
      res.setHeader('content-type', 'application/json').end(JSON.stringify({ status }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const config = new KubeConfig();
  const { port } = server.address() as AddressInfo;
  config.loadFromClusterAndUser(
    { name: 'c', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: 'u', token: 't' },
  );
  const given = { server: fromKubeConfig(config), timeoutMs: 5000, userAgent: 'test' };
  const client = new KubeClient({ ...given, clock: systemClock });
  return {
    reviews: new KubernetesReviews(client),
    questions,
    async [Symbol.asyncDispose]() {
      client.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const user = {
  username: 'system:serviceaccount:rl:a',
  uid: '1',
  groups: ['g'],
  extra: { k: ['v'] },
};

describe('KubernetesReviews', () => {
  it('asks whose a token is, for our audience', async () => {
    await using t = await reviewsWith({ authenticated: true, audiences: ['refmodel'], user });

    assert.deepEqual(await t.reviews.whose('abc', never), user);

    assert.deepEqual(t.questions, [
      {
        path: '/apis/authentication.k8s.io/v1/tokenreviews',
        body: {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          spec: { token: 'abc', audiences: ['refmodel'] },
        },
      },
    ]);
  });

  const invalid: Record<string, object> = {
    'a token that is not valid': { authenticated: false, audiences: ['refmodel'], user },
    'a token for another audience': { authenticated: true, audiences: ['other'], user },
    'an answer that names no audience': { authenticated: true, user },
    'an answer that names nobody': { authenticated: true, audiences: ['refmodel'], user: {} },
    'no answer': {},
  };
  for (const [name, status] of Object.entries(invalid)) {
    it(`believes nothing of ${name}`, async () => {
      await using t = await reviewsWith(status);

      assert.equal(await t.reviews.whose('abc', never), undefined);
    });
  }

  it('asks what the caller may do with everything that is known of it', async () => {
    await using t = await reviewsWith({ allowed: true });

    assert.equal(await t.reviews.may(user, wishOf(scoring, 'rl/tiny'), never), true);

    assert.deepEqual(t.questions[0]?.body, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user: user.username,
        uid: '1',
        groups: ['g'],
        extra: { k: ['v'] },
        resourceAttributes: {
          group: 'refmodel.dev',
          resource: 'referencemodels',
          subresource: 'score',
          verb: 'create',
          namespace: 'rl',
          name: 'tiny',
        },
      },
    });
  });

  it('takes only a clear yes for a yes', async () => {
    for (const status of [{ allowed: false }, {}, { allowed: true, denied: true }]) {
      await using t = await reviewsWith(status);

      assert.equal(await t.reviews.may(user, wishOf(scoring, 'rl/tiny'), never), false);
    }
  });
});

describe('noReviews', () => {
  it('knows nobody and allows nothing', async () => {
    assert.equal(await noReviews.whose('abc', never), undefined);
    assert.equal(await noReviews.may(user, wishOf(scoring, 'rl/tiny'), never), false);
  });
});

describe('fingerprint', () => {
  it('tells tokens apart and does not contain them', () => {
    assert.notEqual(fingerprint('secret-a'), fingerprint('secret-b'));
    assert.doesNotMatch(fingerprint('secret-a'), /secret/);
  });
});
