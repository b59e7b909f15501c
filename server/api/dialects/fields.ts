// Lists in bodies: long ones of numbers come packed out of large bodies (../wire/list.ts).
import { z } from 'zod';
import { isList, type List } from '../wire/list.ts';

/** Of ids, texts or lists of ids: what stands in it is looked at later. */
export const list = z.custom<List>(isList, 'expected an array');

/** `schema` is of an array of numbers. */
export const numbers = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (isList(value) ? Array.from(value) : value), schema);
