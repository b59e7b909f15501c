// Applies the GPUClasses that the chart brings (docs/adr/0004-default-classes.md). The API server checks them.
import { readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { Backoff } from '../../common/backoff.ts';
import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log.ts';
import type { KubeClient } from '../kube/client.ts';
import { resources } from '../kube/resources.ts';

const fieldManager = 'refmodel-chart';

const classObject = z.looseObject({ metadata: z.looseObject({ name: z.string() }) });
export type ClassObject = z.output<typeof classObject>;

export interface ClassesOptions {
  client: KubeClient;
  clock: Clock;
  log: Logger;
}

/** The documents of a YAML file, as they stand; empty ones are passed over. */
export async function readClasses(path: string): Promise<ClassObject[]> {
  const documents = [...parseAllDocuments(await readFile(path, 'utf8'))];
  const objects = documents.map((document): unknown => document.toJS());
  return objects.filter((object) => object !== null).map((object) => classObject.parse(object));
}

/** Applies each until the API server takes it: right after an installation it may not know the kind yet. */
export async function applyClasses(
  classes: readonly ClassObject[],
  { client, clock, log }: ClassesOptions,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff({ firstMs: 500, maxMs: 60_000 });
  for (let rest = [...classes]; rest.length > 0; ) {
    const refused: ClassObject[] = [];
    for (const object of rest) {
      try {
        await client.apply(resources.gpuClasses, object, { fieldManager, force: true, signal });
      } catch (err) {
        signal.throwIfAborted();
        log.warn({ err, gpuClass: object.metadata.name }, 'applying a class of the chart failed');
        refused.push(object);
      }
    }
    rest = refused;
    if (rest.length > 0) await clock.delay(backoff.next(), signal);
  }
}
