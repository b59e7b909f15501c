import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { labelNames } from '../../../../../server/model/checkpoint/labels.ts';

describe('labelNames', () => {
  const own = { 1: 'bad', 0: 'good' };
  const table = [
    { name: 'in order of their ids', config: { id2label: own }, want: ['good', 'bad'] },
    { name: 'of the text part', config: { text_config: { id2label: own } }, want: ['good', 'bad'] },
    {
      name: 'from above the text part',
      config: { id2label: own, text_config: {} },
      want: ['good', 'bad'],
    },
    { name: 'by their ids where there are none', config: {}, want: ['LABEL_0', 'LABEL_1'] },
    {
      name: 'by their ids where there are more',
      config: { id2label: { ...own, 2: 'ugly' } },
      want: ['LABEL_0', 'LABEL_1'],
    },
    {
      name: 'by their ids where an id has none',
      config: { id2label: { 0: 'good', 7: 'bad' } },
      want: ['good', 'LABEL_1'],
    },
    {
      name: 'by their ids where they are no texts',
      config: { id2label: { 0: 1, 1: 2 } },
      want: ['LABEL_0', 'LABEL_1'],
    },
    { name: 'of none', config: { id2label: own }, want: [] },
  ];
  for (const { name, config, want } of table) {
    it(`gives the names ${name}`, () => {
      assert.deepEqual(labelNames(config, want.length), want);
    });
  }
});
