// Does an object of the API server still say everything that we want it to say? Pure.
import { quantityValue } from '../../../crds/common.ts';

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * True when every field of `wanted` is in `live` with the same value. What only `live` has belongs to others or is a
 * default. Quantities count by value (the API server writes "1000m" as "1"), items with a uid or a name are found by
 * it (server-side apply keeps its own order), and what is empty may be absent.
 */
export function covers(live: unknown, wanted: unknown): boolean {
  if (isEmpty(wanted)) return live === undefined || typeof live === typeof wanted;
  if (Array.isArray(wanted)) return Array.isArray(live) && coversItems(live, wanted);
  if (isFields(wanted)) {
    return (
      isFields(live) && Object.entries(wanted).every(([name, value]) => covers(live[name], value))
    );
  }
  return Object.is(live, wanted) || isSameQuantity(live, wanted);
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  return isFields(value) && Object.keys(value).length === 0;
}

function coversItems(live: unknown[], wanted: unknown[]): boolean {
  const key = ['uid', 'name'].find((name) =>
    wanted.every((item) => isFields(item) && name in item),
  );
  if (key === undefined) {
    return live.length === wanted.length && wanted.every((item, i) => covers(live[i], item));
  }
  const fields = live.filter(isFields);
  return wanted.filter(isFields).every((item) =>
    covers(
      fields.find((candidate) => candidate[key] === item[key]),
      item,
    ),
  );
}

/** Also as the API server writes it, with as many digits as it needs. */
const isQuantity = (value: unknown): value is string =>
  typeof value === 'string' && /^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/.test(value);

/** The API server rounds what is finer than it counts. */
const precision = 1e-6;

function isSameQuantity(a: unknown, b: unknown): boolean {
  if (!isQuantity(a) || !isQuantity(b)) return false;
  const [x, y] = [quantityValue(a), quantityValue(b)];
  return Math.abs(x - y) <= precision * Math.max(x, y);
}
