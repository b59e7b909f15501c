import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Access, keepMs } from '../../../../../operator/gateway/access/access.ts';
import { type Right, scoring } from '../../../../../operator/gateway/access/rights.ts';
import { FakeReviews, tokenOf } from '../../../../support/access-kit.ts';
import { FakeClock } from '../../../../support/clock.ts';
import { model } from '../../../../support/gateway-kit.ts';

const never = new AbortController().signal;
const open = model({ key: 'rl/open' });
const secret = model({ key: 'rl/secret', access: 'Authenticated' });
const other = model({ key: 'other/secret', access: 'Authenticated' });
const cacheDelete: Right = { subresource: 'cache', verb: 'delete' };
const code = (wanted: string) => (err: { code?: string }) => err.code === wanted;

function setup({ guardsManagement = false } = {}) {
  const reviews = new FakeReviews({
    all: ['create score rl'],
    one: ['create score rl/secret'],
    none: [],
  });
  const clock = new FakeClock();
  const access = new Access({ reviews, guardsManagement, clock, shutdown: never });
  const require = (name: string | undefined, models = [secret], right = scoring) =>
    access.require(models, right, name === undefined ? undefined : tokenOf(name), never);
  return { reviews, clock, access, require };
}

describe('Access', () => {
  it('lets everybody use an Anonymous model, and asks nobody', async () => {
    const t = setup();

    await t.require(undefined, [open]);
    await t.require('none', [open], cacheDelete);

    assert.deepEqual(t.reviews.asked, []);
  });

  it('wants a token for an Authenticated one', async () => {
    const t = setup();

    await assert.rejects(t.require(undefined), code('UNAUTHENTICATED'));
    await assert.rejects(t.require('stranger'), code('UNAUTHENTICATED'));
  });

  it('lets those through who have the right on the model or on its namespace', async () => {
    const t = setup();

    await t.require('one');
    await t.require('all');

    await assert.rejects(t.require('none'), code('FORBIDDEN'));
    await assert.rejects(t.require('all', [other]), code('FORBIDDEN'));
  });

  it('takes the right to score for no other', async () => {
    const t = setup();

    await assert.rejects(t.require('all', [secret], cacheDelete), code('FORBIDDEN'));
  });

  it('wants the right on each of several models', async () => {
    const t = setup();

    await t.require('all', [open, secret]);

    await assert.rejects(t.require('all', [secret, other]), code('FORBIDDEN'));
  });

  it('guards what changes the cache of Anonymous models too, where it is told to, but no look at it', async () => {
    const t = setup({ guardsManagement: true });

    await t.require(undefined, [open]);
    await t.require(undefined, [open], { subresource: 'cache', verb: 'get' });

    await assert.rejects(t.require(undefined, [open], cacheDelete), code('UNAUTHENTICATED'));
    await assert.rejects(t.require('all', [open], cacheDelete), code('FORBIDDEN'));
  });

  it('asks the API server once for many requests, and anew after a short time', async () => {
    const t = setup();
    await Promise.all([t.require('all'), t.require('all'), t.require('all')]);
    const before = t.reviews.asked.length;
    t.reviews.revoke('all');
    await t.require('all');

    await t.clock.step(keepMs);

    assert.equal(before, 2);
    await assert.rejects(t.require('all'), code('FORBIDDEN'));
  });

  it('lets nobody through while the API server does not answer, and remembers no failure', async () => {
    const t = setup();
    t.reviews.failure = new Error('down');

    await assert.rejects(t.require('all'), code('ACCESS_UNKNOWN'));

    t.reviews.failure = undefined;
    await t.require('all');
  });

  it('shows each caller the models that it may score', async () => {
    const t = setup();
    const models = [open, secret, other];
    const seen = async (token: string | undefined) =>
      (await t.access.visible(models, token, never)).map(({ key }) => key);

    assert.deepEqual(await seen(undefined), ['rl/open']);
    assert.deepEqual(await seen('EMPTY'), ['rl/open']);
    assert.deepEqual(await seen(tokenOf('none')), ['rl/open']);
    assert.deepEqual(await seen(tokenOf('one')), ['rl/open', 'rl/secret']);
    assert.deepEqual(await seen(tokenOf('all')), ['rl/open', 'rl/secret']);
  });

  it('asks one question for a namespace on which the caller has the right', async () => {
    const t = setup();
    const models = Array.from({ length: 50 }, (_, i) =>
      model({ key: `rl/m${i}`, access: 'Authenticated' }),
    );

    const seen = await t.access.visible(models, tokenOf('all'), never);

    assert.equal(seen.length, 50);
    assert.deepEqual(t.reviews.asked, ['whose', 'may create score rl']);
  });

  it('asks so many questions at the same time and no more', async () => {
    const t = setup();
    t.reviews.whose = () => new Promise(() => {});
    const waiting = Array.from({ length: 100 }, (_, i) => t.require(`stranger-${i}`));
    for (const one of waiting) one.catch(() => {});

    await assert.rejects(t.require('one-more'), code('ACCESS_UNKNOWN'));
  });
});
