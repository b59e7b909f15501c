// What the API server wraps objects in: pages of lists, events of watches, refusals. Schemas of meta/v1.
import { z } from 'zod';

/** An object of any kind, as far as caches and errors look into it. The rest stays in it untouched. */
export const anyObject = z.looseObject({
  apiVersion: z.string().optional(),
  kind: z.string().optional(),
  metadata: z
    .looseObject({
      name: z.string().optional(),
      namespace: z.string().optional(),
      uid: z.string().optional(),
      resourceVersion: z.string().optional(),
    })
    .optional(),
});

/** meta/v1 List. */
export const listAnswer = z.object({
  items: z.array(anyObject).nullish(),
  metadata: z.object({ resourceVersion: z.string().optional(), continue: z.string().optional() }),
});

/** meta/v1 Status, of a refusal. */
export const refusalStatus = z.object({
  message: z.string().optional(),
  reason: z.string().optional(),
  code: z.int().optional(),
});

/** meta/v1 WatchEvent; the object of an ERROR is a Status. */
export const watchLine = z.discriminatedUnion('type', [
  z.object({
    type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']),
    object: anyObject,
  }),
  z.object({ type: z.literal('ERROR'), object: refusalStatus }),
]);
export type WatchEvent = Exclude<z.output<typeof watchLine>, { type: 'ERROR' }>;
