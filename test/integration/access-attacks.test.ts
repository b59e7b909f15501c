// Attempts to reach a model that asks for a token, through every way that a request can be written, as bytes on a socket.
// One pod serves the open and the guarded model of a namespace; another serves a guarded model of another namespace.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { bearer, FakeReviews, tokenOf } from '../support/access-kit.ts';
import { FakePod, model, startGateway, type TestGateway } from '../support/gateway-kit.ts';
import { rawRequest, sendRaw } from '../support/raw-http.ts';

const score = '{"input_ids":[[1,2]]}';
const naming = (name: string) => JSON.stringify({ model: name, input_ids: [[1, 2]] });
const at = (host: string, ...more: string[]) => [`Host: ${host}`, ...more];
const asOutsider = `Authorization: Bearer ${tokenOf('outsider')}`;
const post = (path: string, headers: string[], body = score) =>
  rawRequest(`POST ${path}`, headers, body);
const remove = (path: string, headers: string[]) => rawRequest(`DELETE ${path}`, headers);
const get = (path: string, headers: string[]) => rawRequest(`GET ${path}`, headers);

/** A second request that a reader who frames the first one otherwise would see. */
const hidden = post('/rl/secret/v1/logprobs', at('gw'));
const hiddenLength = Buffer.byteLength(hidden);

const attacks: Record<string, Record<string, string>> = {
  'by host': {
    'the name': post('/v1/logprobs', at('secret.rl.svc')),
    'the whole name, a port': post('/v1/logprobs', at('secret.rl.svc.cluster.local:80')),
    'the short name': post('/v1/logprobs', at('secret.rl')),
    'in capitals': post('/v1/logprobs', at('SECRET.RL.SVC')),
    'with a dot at its end': post('/v1/logprobs', at('secret.rl.svc.')),
    'of the other namespace': post('/v1/logprobs', at('vault.other.svc')),
    'with a token of somebody else': post('/v1/logprobs', at('secret.rl.svc', asOutsider)),
    'a host that is no host': post('/v1/logprobs', at('open.rl.svc@secret.rl.svc')),
  },
  'by path': {
    plain: post('/rl/secret/v1/logprobs', at('gw')),
    'an encoded letter': post('/rl/%73ecret/v1/logprobs', at('gw')),
    'an encoded slash': post('/rl%2Fsecret/v1/logprobs', at('gw')),
    'in capitals': post('/RL/SECRET/v1/logprobs', at('gw')),
    'double slashes': post('//rl//secret//v1/logprobs', at('gw')),
    'out of the open model': post('/rl/open/../secret/v1/logprobs', at('gw')),
    'out of it, encoded': post('/rl/open/%2e%2e/secret/v1/logprobs', at('gw')),
    'out of it, encoded twice': post('/rl/open/%252e%252e/secret/v1/logprobs', at('gw')),
    'a dot segment before it': post('/./rl/secret/v1/logprobs', at('gw')),
    'a parameter in it': post('/rl/secret;a=b/v1/logprobs', at('gw')),
    'a zero in it': post('/rl/secret%00/v1/logprobs', at('gw')),
    backslashes: post('/rl\\secret\\v1\\logprobs', at('gw')),
    'a fragment': post('/rl/open/v1/logprobs#/../../secret', at('gw')),
    'under the host of the open model': post('/rl/secret/v1/logprobs', at('open.rl.svc')),
    'with a token of somebody else': post('/rl/secret/v1/logprobs', at('gw', asOutsider)),
    'of the inference protocol': post('/v2/models/rl%2Fsecret/infer', at('gw')),
    'of the inference protocol, short': get('/v2/models/secret/ready', at('gw')),
    'of the inference protocol, as it is': post('/v2/models/rl/secret/infer', at('gw')),
  },
  'by body': {
    plain: post('/v1/logprobs', at('gw'), naming('rl/secret')),
    short: post('/v1/logprobs', at('gw'), naming('secret')),
    'of the other namespace': post('/v1/logprobs', at('gw'), naming('other/vault')),
    'after much else': post(
      '/v1/logprobs',
      at('gw'),
      `{"a":"${'x'.repeat(500)}","model":"rl/secret"}`,
    ),
    'escaped value': post('/v1/logprobs', at('gw'), '{"model":"rl\\u002fsecret"}'),
    'escaped name': post('/v1/logprobs', at('gw'), '{"m\\u006fdel":"rl/secret"}'),
    'twice, the open one first': post(
      '/v1/logprobs',
      at('gw'),
      '{"model":"rl/open","model":"rl/secret"}',
    ),
    'twice, the open one last': post(
      '/v1/logprobs',
      at('gw'),
      '{"model":"rl/secret","model":"rl/open"}',
    ),
    'twice, the first deep': post(
      '/v1/logprobs',
      at('gw'),
      '{"a":{"model":"rl/open"},"model":"rl/secret"}',
    ),
    'a list': post('/v1/logprobs', at('gw'), '{"model":["rl/secret"]}'),
    'a mark before it': post('/v1/logprobs', at('gw'), `\u00ef\u00bb\u00bf${naming('rl/secret')}`),
    'under the host of the open model': post(
      '/v1/logprobs',
      at('open.rl.svc'),
      naming('rl/secret'),
    ),
    'under the path of the open model': post('/rl/open/v1/logprobs', at('gw'), naming('rl/secret')),
    'under another field': post('/compute', at('open.rl.svc'), '{"model_name":"rl/secret"}'),
    'in the query': post('/v1/logprobs?model=rl/secret', at('open.rl.svc')),
    'with a token of somebody else': post(
      '/v1/logprobs',
      at('gw', asOutsider),
      naming('rl/secret'),
    ),
  },
  'by headers': {
    'the header between gateway and pod': post(
      '/v1/logprobs',
      at('open.rl.svc', 'x-refmodel-model: rl/secret'),
    ),
    'the same twice': post(
      '/v1/logprobs',
      at('open.rl.svc', 'X-Refmodel-Model: rl/secret', 'x-refmodel-model: rl/secret'),
    ),
    'the same, named by Connection': post(
      '/v1/logprobs',
      at('open.rl.svc', 'x-refmodel-model: rl/secret', 'Connection: close, x-refmodel-model'),
    ),
    'the same, underscored': post('/v1/logprobs', at('open.rl.svc', 'x_refmodel_model: rl/secret')),
    'a forwarded host': post('/v1/logprobs', at('gw', 'X-Forwarded-Host: secret.rl.svc')),
    forwarded: post('/v1/logprobs', at('gw', 'Forwarded: host=secret.rl.svc')),
    'another URL': post(
      '/rl/open/v1/logprobs',
      at('gw', 'X-Original-URL: /rl/secret/v1/logprobs', 'X-Rewrite-URL: /rl/secret/v1/logprobs'),
    ),
    'two hosts': post('/v1/logprobs', ['Host: open.rl.svc', 'Host: secret.rl.svc']),
    'two hosts, the other way': post('/v1/logprobs', ['Host: secret.rl.svc', 'Host: open.rl.svc']),
    'two tokens': post(
      '/v1/logprobs',
      at('secret.rl.svc', asOutsider, `Authorization: Bearer ${tokenOf('insider')}`),
    ),
    'a name and a password': post('/v1/logprobs', at('secret.rl.svc', 'Authorization: Basic YTpi')),
    'a token that names itself': post(
      '/v1/logprobs',
      at('secret.rl.svc', `Authorization: Bearer ${tokenOf('insider', { alg: 'none' })}`),
    ),
    'a token in the query': post(
      `/v1/logprobs?access_token=${tokenOf('insider')}`,
      at('secret.rl.svc'),
    ),
    'a token for a proxy': post(
      '/v1/logprobs',
      at('secret.rl.svc', `Proxy-Authorization: Bearer ${tokenOf('insider')}`),
    ),
    'another method': post('/cache/rl/secret', at('gw', 'X-HTTP-Method-Override: DELETE')),
  },
  'by absolute URL': {
    'of the guarded model': post('http://secret.rl.svc/v1/logprobs', at('secret.rl.svc')),
    'with its path': post('http://open.rl.svc/rl/secret/v1/logprobs', at('gw')),
    'with dots': post('http://gw/rl/open/../secret/v1/logprobs', at('gw')),
    'with encoded dots': post('http://gw/rl/open/%2e%2e/secret/v1/logprobs', at('gw')),
    'of its cache': remove('http://gw/cache/rl/secret', at('open.rl.svc')),
    'with a user': post('http://rl:x@gw/rl/secret/v1/logprobs', at('gw')),
    'of no kind': post('secret.rl.svc/v1/logprobs', at('gw')),
  },
  'by a second request in the first': {
    'CL.TE': post(
      '/rl/open/v1/logprobs',
      at('gw', `Content-Length: ${hiddenLength + 5}`, 'Transfer-Encoding: chunked'),
      `0\r\n\r\n${hidden}`,
    ),
    'TE.CL': post(
      '/rl/open/v1/logprobs',
      at('gw', 'Transfer-Encoding: chunked', 'Content-Length: 4'),
      `${hiddenLength.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
    ),
    'TE.TE': post(
      '/rl/open/v1/logprobs',
      at('gw', 'Transfer-Encoding: chunked', 'Transfer-Encoding: x'),
      `0\r\n\r\n${hidden}`,
    ),
    'TE with a tab': post(
      '/rl/open/v1/logprobs',
      at('gw', 'Transfer-Encoding:\tchunked'),
      `0\r\n\r\n${hidden}`,
    ),
    'TE of another kind': post(
      '/rl/open/v1/logprobs',
      at('gw', 'Transfer-Encoding: xchunked', 'Content-Length: 5'),
      `0\r\n\r\n${hidden}`,
    ),
    'two lengths': post(
      '/rl/open/v1/logprobs',
      at('gw', 'Content-Length: 2', 'Content-Length: 200'),
      `{}${hidden}`,
    ),
    'two lengths in one': post(
      '/rl/open/v1/logprobs',
      at('gw', 'Content-Length: 2, 200'),
      `{}${hidden}`,
    ),
    'a signed length': post('/rl/open/v1/logprobs', at('gw', 'Content-Length: +2'), `{}${hidden}`),
    'a folded line': post(
      '/rl/open/v1/logprobs',
      at('gw', 'Content-Length: 2', 'X-A: b', ' Content-Length: 200'),
      `{}${hidden}`,
    ),
    'a folded length': post(
      '/rl/open/v1/logprobs',
      at('gw', 'Transfer-Encoding:', ' chunked', 'Content-Length: 5'),
      `0\r\n\r\n${hidden}`,
    ),
    'a space before the colon': post(
      '/rl/open/v1/logprobs',
      at('gw', 'Content-Length : 2'),
      `{}${hidden}`,
    ),
    'a line that ends early': post(
      '/rl/open/v1/logprobs',
      at('gw', 'X-A: b\nTransfer-Encoding: chunked', 'Content-Length: 2'),
      `{}${hidden}`,
    ),
    'a zero in a header': post(
      '/rl/open/v1/logprobs',
      at('gw', 'X-A: \0b', 'Content-Length: 2'),
      `{}${hidden}`,
    ),
    'a body without a length': `${post('/rl/open/v1/logprobs', at('gw'), '')}${hidden}`,
    'a length too short': post(
      '/rl/open/v1/logprobs',
      at('gw', 'Content-Length: 2'),
      `{}${hidden}`,
    ),
    'a body of a GET':
      get('/rl/open/v1/models', at('gw', `Content-Length: ${hiddenLength}`)) + hidden,
    'an upgrade to HTTP/2': post(
      '/rl/open/v1/logprobs',
      at(
        'gw',
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQAAP__',
      ),
    ),
    'a tunnel': `CONNECT secret.rl.svc:80 HTTP/1.1\r\nHost: secret.rl.svc:80\r\n\r\n${hidden}`,
  },
  'what is kept warm': {
    'its place in the cache': remove('/cache/rl/secret', at('gw')),
    'by its short name': remove('/cache/secret', at('gw')),
    'with an encoded slash': remove('/cache/rl%2Fsecret', at('gw')),
    'in capitals, at the open model': remove('/CACHE/rl/secret', at('open.rl.svc')),
    'with an encoded letter, at the open model': remove('/%63ache/rl/secret', at('open.rl.svc')),
    'with slashes, at the open model': remove('//cache//rl//secret', at('open.rl.svc')),
    'under the path of the open model': remove('/rl/open/cache/rl/secret', at('gw')),
    'with a dot segment': remove('/rl/open/cache/open/../secret', at('gw')),
    'the whole cache of the pool': remove('/cache', at('open.rl.svc')),
    'a look into it': get('/cache', at('open.rl.svc')),
    'with the right to score only': remove(
      '/cache/rl/secret',
      at('gw', `Authorization: Bearer ${tokenOf('insider')}`),
    ),
    'a lease': rawRequest('PUT /v1/leases/mine', at('gw'), '{"models":["rl/secret"]}'),
    'a lease at the open model': rawRequest(
      'PUT /rl/open/v1/leases/mine',
      at('gw'),
      '{"models":["secret"]}',
    ),
    'the end of a lease of others': remove('/v1/leases/theirs', at('gw', asOutsider)),
    'a lease in the place of others’': rawRequest(
      'PUT /v1/leases/theirs',
      at('gw'),
      '{"models":["rl/open"]}',
    ),
    'a lease with the right to score only': rawRequest(
      'PUT /v1/leases/mine',
      at('gw', `Authorization: Bearer ${tokenOf('insider')}`),
      '{"models":["rl/secret"]}',
    ),
  },
};

/** Routes of a pod that name a model themselves. */
const namesSecret = /^\/cache\/.*(secret|vault)/;

describe('a model that asks for a token', () => {
  let gateway: TestGateway;
  let pods: FakePod[];

  before(async () => {
    const models = [
      model({ key: 'rl/open' }),
      model({ key: 'rl/secret', access: 'Authenticated' }),
      model({ key: 'other/hidden', pool: undefined, access: 'Authenticated' }),
      model({ key: 'other/vault', pool: 'other/rfm-pool-cpu', access: 'Authenticated' }),
    ];
    const reviews = new FakeReviews({
      insider: ['create score rl/secret'],
      manager: ['update lease rl', 'delete lease rl', 'get lease rl', 'delete cache rl'],
      outsider: ['create score other/nothing'],
    });
    gateway = await startGateway({ models, reviews });
    pods = [
      await FakePod.start({ id: 'pod-a', answer: (_received, res) => res.end('scores') }),
      await FakePod.start({
        id: 'pod-b',
        pool: 'other/rfm-pool-cpu',
        answer: (_received, res) => res.end('scores'),
      }),
    ];
    for (const pod of pods) gateway.backend.up(pod.endpoint);
    const lease = { method: 'PUT', body: '{"models":["rl/secret"]}', headers: bearer('manager') };
    assert.equal((await gateway.send('/v1/leases/theirs', lease)).status, 200);
  });
  after(async () => {
    await gateway.close();
    for (const pod of pods) await pod.close();
  });

  /** Requests at the pods that concern a guarded model. */
  const breaches = () =>
    pods.flatMap(({ received }) =>
      received.filter(({ headers, url }) => {
        const name = headers['x-refmodel-model'];
        return name !== 'rl/open' || namesSecret.test(decodeURI(url)) || /^\/cache\/?$/.test(url);
      }),
    );

  for (const [way, tried] of Object.entries(attacks)) {
    for (const [name, bytes] of Object.entries(tried)) {
      it(`is not reached ${way}: ${name}`, async () => {
        const answers = await sendRaw(gateway.traffic.port, Buffer.from(bytes, 'latin1'));

        assert.deepEqual(breaches(), []);
        for (const { status, body } of answers) {
          assert.ok(
            status === 200 || (status >= 400 && status < 500),
            `answered ${status}: ${body}`,
          );
          assert.doesNotMatch(body, /theirs|hidden/);
        }
        assert.deepEqual(
          gateway.backend.leases().map(({ run, models }) => [run, models]),
          [['theirs', ['rl/secret']]],
        );
      });
    }
  }

  const addresses: Record<string, [string, string, string]> = {
    host: ['/v1/logprobs', 'secret.rl.svc', score],
    path: ['/rl/secret/v1/logprobs', 'gw', score],
    body: ['/v1/logprobs', 'gw', naming('rl/secret')],
  };
  for (const [name, [path, host, body]] of Object.entries(addresses)) {
    it(`is reached by ${name} with a token that has the right, which the pod does not see`, async () => {
      const token = `Authorization: Bearer ${tokenOf('insider')}`;
      const bare = await sendRaw(gateway.traffic.port, post(path, at(host), body));
      const [answer] = await sendRaw(gateway.traffic.port, post(path, at(host, token), body));

      assert.deepEqual([bare[0]?.status, answer?.status], [401, 200]);
      assert.match(bare[0]?.headers ?? '', /www-authenticate: Bearer/i);
      const [received, ...more] = pods
        .flatMap((pod) => pod.received.splice(0))
        .filter(({ headers }) => headers['x-refmodel-model'] === 'rl/secret');
      assert.equal(more.length, 0);
      assert.equal(received?.headers['authorization'], undefined);
    });
  }

  it('is not in the lists of those who may not score it', async () => {
    const ids = async (headers: Record<string, string>) => {
      const answer = await fetch(`${gateway.url}/v1/models`, { headers });
      return ((await answer.json()) as { data: { id: string }[] }).data.map(({ id }) => id);
    };
    const runs = async (headers: Record<string, string>) => {
      const answer = await fetch(`${gateway.url}/v1/leases`, { headers });
      return ((await answer.json()) as { leases: { run: string }[] }).leases.map(({ run }) => run);
    };

    assert.deepEqual(await ids({}), ['rl/open']);
    assert.deepEqual(await ids(bearer('outsider')), ['rl/open']);
    assert.deepEqual(await ids(bearer('insider')), ['rl/open', 'rl/secret']);
    assert.deepEqual(await runs({}), []);
    assert.deepEqual(await runs(bearer('manager')), ['theirs']);
  });

  it('says who may not do what, and how to allow it', async () => {
    const answer = await gateway.send('/rl/secret/v1/logprobs', { headers: bearer('outsider') });
    const { error } = (await answer.json()) as { error: { code: string; message: string } };

    assert.equal(answer.status, 403);
    assert.equal(error.code, 'FORBIDDEN');
    assert.ok(error.message.includes('system:serviceaccount:rl:outsider'));
  });
});
