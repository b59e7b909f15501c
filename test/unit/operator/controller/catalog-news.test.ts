import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBehind, telling } from '../../../../operator/controller/catalog-news.ts';
import type { ConfigMap, Pod } from '../../../../operator/kube/resources.ts';
import { at, readyPod, terminating } from '../../../support/facts.ts';

/** Written at that second, if the API server says when. */
const catalog = (writtenAt: number | undefined, content = '{}'): ConfigMap => ({
  metadata: {
    managedFields: [
      { manager: 'somebody', time: at(900), fieldsV1: { 'f:metadata': {} } },
      {
        manager: 'refmodel-operator',
        ...(writtenAt !== undefined && { time: at(writtenAt) }),
        fieldsV1: { 'f:data': {} },
      },
    ],
  },
  data: { 'catalog.json': content },
});
const podOf = (createdAt: number, told?: ConfigMap): Pod => {
  const { metadata } = (told ? telling(told) : {}) as Pod;
  const plain = readyPod();
  return {
    ...plain,
    metadata: { ...plain.metadata, ...metadata, creationTimestamp: at(createdAt) },
  };
};

describe('a pod is behind its catalog', () => {
  const cases: { name: string; pod: Pod; of: ConfigMap; want: boolean }[] = [
    { name: 'when it was there before', pod: podOf(10), of: catalog(20), want: true },
    { name: 'not when it came later', pod: podOf(60), of: catalog(20), want: false },
    { name: 'when it came at the same time', pod: podOf(22), of: catalog(20), want: true },
    { name: 'when nobody knows', pod: podOf(60), of: catalog(undefined), want: true },
    { name: 'not when it was told', pod: podOf(10, catalog(20)), of: catalog(20), want: false },
    {
      name: 'when it was told of another one',
      pod: podOf(10, catalog(20, 'old')),
      of: catalog(20),
      want: true,
    },
    { name: 'not when it ends', pod: terminating(podOf(10)), of: catalog(20), want: false },
  ];
  for (const { name, pod, of, want } of cases) {
    it(name, () => assert.equal(isBehind(pod, of), want));
  }
});
