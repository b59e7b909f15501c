import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { checked, duration, durationMs, quantity, quantityValue } from '../../../crds/common.ts';

describe('durations', () => {
  const table: [string, number][] = [
    ['20m', 1_200_000],
    ['1h30m', 5_400_000],
    ['500ms', 500],
    ['2s500ms', 2500],
    ['0s', 0],
  ];
  for (const [text, ms] of table) {
    it(`reads ${text}`, () => {
      assert.equal(duration.parse(text), text);
      assert.equal(durationMs(text), ms);
    });
  }

  for (const text of ['', '-5m', '5', 'm', '5 m', '1.5h', '5d']) {
    it(`refuses "${text}"`, () => assert.equal(duration.safeParse(text).success, false));
  }
});

describe('quantities', () => {
  const table: [string, number][] = [
    ['80Gi', 80 * 1024 ** 3],
    ['1.5G', 1.5e9],
    ['500m', 0.5],
    ['128974848', 128_974_848],
    ['1Ki', 1024],
  ];
  for (const [text, value] of table) {
    it(`reads ${text}`, () => {
      assert.equal(quantity.parse(text), text);
      assert.equal(quantityValue(text), value);
    });
  }

  for (const text of ['', '-1Gi', '1GiB', 'Gi', '1 Gi', '0x10']) {
    it(`refuses "${text}"`, () => assert.equal(quantity.safeParse(text).success, false));
  }
});

describe('checked', () => {
  it('keeps the rules of inner and earlier checks beside the new one', () => {
    const rule = (n: number) => ({ rule: `self > ${n}`, message: `more than ${n}` });
    const schema = checked(
      checked(z.number(), (v) => v > 1, rule(1)),
      (v) => v > 2,
      rule(2),
    );

    assert.deepEqual(schema.meta()?.['x-kubernetes-validations'], [rule(1), rule(2)]);
    assert.equal(schema.safeParse(2).success, false);
    assert.equal(schema.safeParse(3).success, true);
  });
});
