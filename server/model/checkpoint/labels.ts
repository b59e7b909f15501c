// What the scores of a reward model are called: read from config.json. Pure.
import { z } from 'zod';

const names = z.record(z.string(), z.string()).nullish().catch(undefined);
const named = z.object({
  id2label: names,
  /** Where models with images have what is about text. */
  text_config: z.object({ id2label: names }).nullish().catch(undefined),
});

/** Names of `count` labels: LABEL_0 and so on where config.json has none, or another number of them, as transformers. */
export function labelNames(config: unknown, count: number): string[] {
  const { id2label, text_config: text } = named.parse(config);
  const own = text?.id2label ?? id2label ?? {};
  const isOf = Object.keys(own).length === count;
  return Array.from({ length: count }, (_, id) => (isOf && own[id]) || `LABEL_${id}`);
}
