// Building blocks of both kinds: durations, quantities, conditions, and zod schemas that carry their CEL twins.
import { z } from 'zod';

/** One CEL rule of an OpenAPI schema (Kubernetes: "Validation rules"). */
const celRule = z.object({
  rule: z.string(),
  message: z.string(),
  fieldPath: z.string().optional(),
  reason: z.enum(['FieldValueInvalid', 'FieldValueRequired', 'FieldValueForbidden']).optional(),
});
export type CelRule = z.output<typeof celRule>;
const celRules = z.array(celRule).default([]);

/**
 * Adds a check that exists twice: as a zod refinement for `refmodel local` and as CEL for the API server.
 * Keep the two in one call, so that neither can be forgotten.
 */
export function checked<T extends z.ZodType>(
  schema: T,
  test: (value: z.output<T>) => boolean,
  cel: CelRule,
): T {
  const earlier = celRules.parse(schema.meta()?.['x-kubernetes-validations']);
  const path = cel.fieldPath?.split('.').filter(Boolean);
  return schema
    .refine(test, { message: cel.message, ...(path && { path }) })
    .meta({ ...schema.meta(), 'x-kubernetes-validations': [...earlier, cel] });
}

/** Names that also become a Service and a label value: RFC 1035, leaving room for our prefixes. */
export const maxNameLength = 50;
export const namePattern = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

export const metadataRules: CelRule[] = [
  {
    rule: `self.metadata.name.size() <= ${maxNameLength}`,
    message: `metadata.name must be at most ${maxNameLength} characters`,
  },
  {
    rule: `self.metadata.name.matches('${namePattern.source}')`,
    message: 'metadata.name must be lower case letters, digits and "-", beginning with a letter',
  },
];

const durationPattern = /^([0-9]{1,9}(h|m|s|ms))+$/;
const unitMs: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** A duration such as "20m" or "1h30m". Never negative. */
export const duration = z.string().max(32).regex(durationPattern);

export function durationMs(text: string): number {
  let total = 0;
  for (const [, digits, unit] of text.matchAll(/([0-9]+)(ms|h|m|s)/g)) {
    total += Number(digits) * (unitMs[unit ?? ''] ?? Number.NaN);
  }
  return total;
}

const quantityPattern = /^[0-9]{1,12}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/;

/** A Kubernetes quantity such as "80Gi" (k8s.io/apimachinery/pkg/api/resource). Never negative. */
export const quantity = z.string().max(32).regex(quantityPattern);

const binary = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi'];
const decimal = ['k', 'M', 'G', 'T', 'P'];

/** The value of a quantity: bytes for memory, cores for cpu. */
export function quantityValue(text: string): number {
  const unit = text.match(/[A-Za-z]+$/)?.[0] ?? '';
  const value = Number(text.slice(0, text.length - unit.length));
  if (unit === 'm') return value / 1000;
  if (unit === '') return value;
  return unit.endsWith('i')
    ? value * 1024 ** (binary.indexOf(unit) + 1)
    : value * 1000 ** (decimal.indexOf(unit) + 1);
}

/** meta/v1 Condition. */
export const condition = z.object({
  type: z.string().max(316),
  status: z.enum(['True', 'False', 'Unknown']),
  observedGeneration: z.int().min(0).optional(),
  lastTransitionTime: z.iso.datetime({ offset: true }),
  reason: z.string().min(1).max(1024),
  message: z.string().max(32768),
});
export type Condition = z.output<typeof condition>;

export const objectMeta = z.object({
  name: z.string(),
  namespace: z.string().default('default'),
  uid: z.string().default(''),
  generation: z.int().default(1),
  resourceVersion: z.string().optional(),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
});
export type ObjectMeta = z.output<typeof objectMeta>;

/** What `metadataRules` say, for objects that no API server has seen. */
export const ruledMeta = objectMeta.extend({
  name: z
    .string()
    .max(maxNameLength, `metadata.name must be at most ${maxNameLength} characters`)
    .regex(namePattern, metadataRules[1]?.message),
});
