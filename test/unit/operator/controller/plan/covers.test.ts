import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { covers } from '../../../../../operator/controller/plan/covers.ts';

const table: { name: string; live: unknown; wanted: unknown; want: boolean }[] = [
  { name: 'what is the same', live: { a: 1 }, wanted: { a: 1 }, want: true },
  { name: 'what has more fields', live: { a: 1, b: 2 }, wanted: { a: 1 }, want: true },
  { name: 'what lacks a field', live: { b: 2 }, wanted: { a: 1 }, want: false },
  { name: 'another value', live: { a: 2 }, wanted: { a: 1 }, want: false },
  { name: 'what is empty and absent', live: {}, wanted: { a: {}, b: [], c: '' }, want: true },
  { name: 'what is empty and there', live: { a: {} }, wanted: { a: {} }, want: true },
  { name: 'false where nothing is', live: {}, wanted: { a: false }, want: false },
  { name: 'an equal quantity', live: { cpu: '500m' }, wanted: { cpu: '0.5' }, want: true },
  {
    name: 'a quantity as the API server rounds it',
    live: { memory: '1181116006400m' },
    wanted: { memory: '1.1Gi' },
    want: true,
  },
  { name: 'another quantity', live: { cpu: '500m' }, wanted: { cpu: '1' }, want: false },
  { name: 'a shorter list', live: [1], wanted: [1, 2], want: false },
  { name: 'another order of plain items', live: ['b', 'a'], wanted: ['a', 'b'], want: false },
  {
    name: 'another order of items with names',
    live: [{ name: 'b' }, { name: 'a', x: 1 }],
    wanted: [{ name: 'a' }, { name: 'b' }],
    want: true,
  },
  {
    name: 'owners by their uid',
    live: [{ uid: '2', name: 'a' }],
    wanted: [{ uid: '1', name: 'a' }],
    want: false,
  },
];

describe('covers', () => {
  for (const { name, live, wanted, want } of table) {
    it(`is ${want} for ${name}`, () => assert.equal(covers(live, wanted), want));
  }
});
