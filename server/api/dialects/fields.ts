// Lists in bodies: long ones of numbers come packed out of large bodies (../wire/list.ts).
import { z } from 'zod';
import { isList, type List } from '../wire/list.ts';

const integers = { type: 'array', items: { type: 'integer' } } as const;
const anyList = z.custom<List>(isList, 'expected an array');

/** Of ids, texts or lists of ids: what stands in it is looked at later. */
export const list = anyList.meta({
  type: 'array',
  items: { anyOf: [{ type: 'integer' }, { type: 'string' }, integers] },
});
/** Of token ids. */
export const ids = anyList.meta(integers);

/** `schema` is of an array of numbers. */
export const numbers = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (isList(value) ? Array.from(value) : value), schema);
