import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { checked } from '../../../crds/common.ts';
import { crds, structural } from '../../../crds/structural.ts';

/** Every schema node below and including `node`. */
function* nodes(node: unknown, path = ''): Generator<[string, Record<string, unknown>]> {
  if (node === null || typeof node !== 'object') return;
  yield [path, node as Record<string, unknown>];
  for (const [key, child] of Object.entries(node)) yield* nodes(child, `${path}.${key}`);
}

describe('structural', () => {
  it('drops what a structural schema must not hold', () => {
    const schema = structural(
      z.object({ any: z.record(z.string(), z.unknown()), n: z.int(), at: z.iso.datetime() }),
    );

    assert.deepEqual(schema, {
      type: 'object',
      properties: {
        any: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        n: { type: 'integer', format: 'int64' },
        at: { type: 'string', format: 'date-time' },
      },
      required: ['any', 'n', 'at'],
    });
  });

  it('carries the CEL twin of a check', () => {
    const rule = { rule: 'self != 3', message: 'not three' };

    const schema = structural(checked(z.number(), (v) => v !== 3, rule));

    assert.deepEqual(schema['x-kubernetes-validations'], [rule]);
  });

  it('does not require a field that has a default', () => {
    assert.equal('required' in structural(z.object({ a: z.string().default('x') })), false);
  });
});

describe('crds', () => {
  for (const [plural, crd] of Object.entries(crds)) {
    it(`gives every string and array of ${plural} a bound, as the cost estimate of CEL wants`, () => {
      for (const [path, node] of nodes(crd['spec'])) {
        if (!path.includes('.spec.') || path.includes('additionalPrinterColumns')) continue;
        const isFree = node['enum'] !== undefined || node['format'] === 'date-time';
        if (node['type'] === 'string' && !isFree && !/(apiVersion|kind)$/.test(path)) {
          assert.ok('maxLength' in node, path);
        }
        if (node['type'] === 'array') assert.ok('maxItems' in node, path);
      }
    });

    it(`has no construct in ${plural} that the API server refuses`, () => {
      for (const [path, node] of nodes(crd['spec'])) {
        for (const key of [
          '$ref',
          '$schema',
          'oneOf',
          'anyOf',
          'patternProperties',
          'propertyNames',
        ]) {
          assert.equal(key in node, false, `${path}.${key}`);
        }
        assert.notEqual(node['additionalProperties'], false, path);
      }
    });
  }
});
