import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError, type ErrorCode } from '../../../../common/errors.ts';
import { modelInJson } from '../../../../operator/gateway/model-in-json.ts';
import {
  isPodPath,
  type Models,
  readAddress,
  resolveModel,
} from '../../../../operator/gateway/route.ts';
import { model } from '../../../support/gateway-kit.ts';

const known = (...keys: string[]): Models => new Map(keys.map((key) => [key, model({ key })]));
const many = known('rl/tiny', 'rl/big', 'eval/tiny');

interface Case {
  name: string;
  models?: Models;
  host?: string;
  url?: string;
  body?: string;
  want: { model: string; path?: string } | ErrorCode;
}

const cases: Case[] = [
  { name: 'its Service', host: 'tiny.rl.svc', want: { model: 'rl/tiny' } },
  {
    name: 'its Service with the domain and a port',
    host: 'Tiny.RL.svc.cluster.local:8080',
    want: { model: 'rl/tiny' },
  },
  { name: 'the short name of its Service', host: 'tiny.eval', want: { model: 'eval/tiny' } },
  {
    name: 'a path prefix, which goes',
    url: '/rl/big/v1/logprobs?x=1',
    want: { model: 'rl/big', path: '/v1/logprobs' },
  },
  {
    name: 'a whole URL as the target',
    url: 'http://gw/rl/big/v1/logprobs',
    want: { model: 'rl/big', path: '/v1/logprobs' },
  },
  {
    name: 'the body, by key',
    body: '{"model":"rl/big"}',
    want: { model: 'rl/big', path: '/v1/logprobs' },
  },
  {
    name: 'the body, by a name that is unique',
    body: '{"model":"big"}',
    want: { model: 'rl/big' },
  },
  {
    name: 'the host before the body',
    host: 'tiny.rl.svc',
    body: '{"model":"rl/big"}',
    want: { model: 'rl/tiny' },
  },
  {
    name: 'the host before the path',
    host: 'tiny.rl.svc',
    url: '/rl/big/v1/x',
    want: { model: 'rl/tiny', path: '/rl/big/v1/x' },
  },
  ...[
    '/rl/big//v1/logprobs',
    '/rl/big/../tiny/v1/logprobs',
    '/rl/big/v1/./logprobs',
    '/rl/big/%2e%2E/tiny/v1/logprobs',
    '/rl/b%69g/v1/logprobs',
    '/rl/big%00/v1/logprobs',
    '/rl\\big/v1/logprobs',
    '/rl/big/v1/..',
  ].map(
    (url): Case => ({
      name: `a path that may be read in two ways, ${url}`,
      url,
      want: 'ROUTE_NOT_FOUND',
    }),
  ),
  {
    name: 'the cache path, by key',
    url: '/cache/rl/big',
    want: { model: 'rl/big', path: '/cache/rl/big' },
  },
  {
    name: 'the cache path, by an encoded key',
    url: '/cache/rl%2Fbig',
    want: { model: 'rl/big', path: '/cache/rl/big' },
  },
  {
    name: 'the cache path, by a unique name',
    url: '/cache/big/',
    want: { model: 'rl/big', path: '/cache/rl/big' },
  },
  {
    name: "the cache path, in the namespace of the host's model",
    host: 'tiny.eval.svc',
    url: '/cache/tiny',
    want: { model: 'eval/tiny', path: '/cache/eval/tiny' },
  },
  {
    name: 'the cache path of another model than the host',
    host: 'tiny.rl.svc',
    url: '/cache/big',
    want: { model: 'rl/big', path: '/cache/rl/big' },
  },
  {
    name: 'nothing, when there is one model',
    models: known('rl/tiny'),
    want: { model: 'rl/tiny' },
  },
  {
    name: 'a body without model, when there is one model',
    models: known('rl/tiny'),
    body: '{}',
    want: { model: 'rl/tiny' },
  },
  {
    name: 'nothing, for the cache of the only pool',
    url: '/cache',
    want: { model: 'rl/tiny', path: '/cache' },
  },

  ...[
    '/generate',
    '/get_sequence_logprobs/',
    '/inference/v1/generate',
    '/v1/score/evaluation',
  ].flatMap((path): Case[] => [
    {
      name: `a path prefix before ${path}`,
      url: `/rl/big${path}`,
      want: { model: 'rl/big', path },
    },
    {
      name: `the body of ${path}`,
      url: path,
      body: '{"input_ids":[1],"model":"rl/big"}',
      want: { model: 'rl/big', path },
    },
    {
      name: `nothing for ${path}, when there is one model`,
      models: known('rl/tiny'),
      url: path,
      body: '{}',
      want: { model: 'rl/tiny', path },
    },
    {
      name: `the prefix of a model that does not exist before ${path}, though there is one other`,
      models: known('rl/tiny'),
      url: `/rl/none${path}`,
      want: 'MODEL_NOT_FOUND',
    },
  ]),
  {
    name: 'the path of the Open Inference Protocol, by key',
    url: '/v2/models/rl/big/infer',
    body: 'no JSON',
    want: { model: 'rl/big', path: '/v2/models/rl/big/infer' },
  },
  {
    name: 'the path of the Open Inference Protocol, by an encoded key and a version',
    url: '/v2/models/rl%2Fbig/versions/1/infer',
    want: { model: 'rl/big' },
  },
  {
    name: 'the path of the Open Inference Protocol, by a unique name',
    url: '/v2/models/big',
    want: { model: 'rl/big' },
  },
  {
    name: 'the host before any name in the path of the Open Inference Protocol',
    host: 'tiny.rl.svc',
    url: '/v2/models/anything/infer',
    want: { model: 'rl/tiny', path: '/v2/models/anything/infer' },
  },
  {
    name: 'a prefix before any name in the path of the Open Inference Protocol',
    url: '/rl/big/v2/models/anything/infer',
    want: { model: 'rl/big', path: '/v2/models/anything/infer' },
  },
  {
    name: 'a path of the Open Inference Protocol with an unknown name',
    url: '/v2/models/none/infer',
    want: 'MODEL_NOT_FOUND',
  },
  {
    name: 'a path of a pod before a model whose prefix it could be',
    models: known('inference/v1', 'rl/big'),
    url: '/inference/v1/generate',
    body: '{"model":"rl/big"}',
    want: { model: 'rl/big', path: '/inference/v1/generate' },
  },

  { name: 'nothing, when there are many', want: 'AMBIGUOUS_MODEL' },
  { name: 'a name in two namespaces', body: '{"model":"tiny"}', want: 'AMBIGUOUS_MODEL' },
  {
    name: 'a name in two namespaces, in the cache path',
    url: '/cache/tiny',
    want: 'AMBIGUOUS_MODEL',
  },
  { name: 'a model that does not exist', body: '{"model":"rl/none"}', want: 'MODEL_NOT_FOUND' },
  {
    name: 'a model that does not exist, though there is only one other',
    models: known('rl/tiny'),
    body: '{"model":"none"}',
    want: 'MODEL_NOT_FOUND',
  },
  {
    name: 'a cache path of a model that does not exist',
    url: '/cache/none',
    want: 'MODEL_NOT_FOUND',
  },
  {
    name: 'a path of a model that does not exist, though there is one other',
    models: known('rl/tiny'),
    url: '/rl/none/v1/logprobs',
    want: 'MODEL_NOT_FOUND',
  },
  {
    name: 'the Service of a model that is gone, though there is one other',
    models: known('rl/tiny'),
    host: 'gone.rl.svc',
    want: 'MODEL_NOT_FOUND',
  },
  { name: 'nothing, when there is no model', models: known(), want: 'MODEL_NOT_FOUND' },
  { name: 'a body that is not JSON', body: '{"model":', want: 'MALFORMED_JSON' },
  { name: 'an address without a path', url: '*', want: 'ROUTE_NOT_FOUND' },
];

describe('routing by', () => {
  for (const { name, models = many, host = 'gateway', url = '/v1/logprobs', body, want } of cases) {
    it(`${name} → ${typeof want === 'string' ? want : want.model}`, () => {
      const found = () => {
        const address = readAddress({ host, url }, models);
        const inBody = () => modelInJson(body === undefined ? undefined : Buffer.from(body));
        return { address, model: resolveModel(address, inBody, models) };
      };

      if (typeof want === 'string') {
        assert.throws(found, (err) => err instanceof AppError && err.code === want);
        return;
      }
      const { address, model } = found();
      assert.equal(model.key, want.model);
      if (want.path) assert.equal(address.path, want.path);
    });
  }

  it('keeps the query', () => {
    const { path, query } = readAddress({ host: 'gw', url: '/rl/tiny/v1/models?limit=1' }, many);

    assert.deepEqual([path, query], ['/v1/models', '?limit=1']);
  });

  it('takes a path of two parts as no prefix', () => {
    const { model, path } = readAddress({ host: 'gw', url: '/v1/models' }, known('v1/models'));

    assert.deepEqual([model, path], [undefined, '/v1/models']);
  });

  it('reads no body when the address says enough', () => {
    const address = readAddress({ host: 'tiny.rl', url: '/v1/logprobs' }, many);

    resolveModel(address, () => assert.fail('read'), many);
  });
});

describe('isPodPath', () => {
  const paths = {
    '/state': true,
    '/State/': true,
    '/metrics': true,
    '/readyz': true,
    '/v1/state': false,
    '/': false,
    '/stateful': false,
  };
  for (const [path, want] of Object.entries(paths)) {
    it(`${path} is ${want ? '' : 'not '}kept by pods`, () => assert.equal(isPodPath(path), want));
  }

  it('is not fooled by a fragment or a whole URL', () => {
    for (const url of ['/state#x', 'http://h/state', '/rl/tiny/state?watch=1']) {
      assert.ok(isPodPath(readAddress({ host: 'gw', url }, many).path), url);
    }
  });
});
