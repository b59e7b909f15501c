// A server whose small models read texts: what dialects are tried against. Its models know 64 tokens: texts are of
// punctuation, such as `!` (3) and `"` (4), and begin with `<bos>` (1) where the tokenizer adds it.
import { BigramModels, type BigramOptions } from './bigram-model.ts';
import { startServerKit } from './server-kit.ts';
import { chatFolder } from './text-kit.ts';

/** In ids of the small vocabulary. */
const template =
  "{{ bos_token }}{% for m in messages %}!{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}#{% endif %}";

export type DialectKit = Awaited<ReturnType<typeof startDialectKit>>;

/** `await using kit = await startDialectKit(…)` closes it. */
export async function startDialectKit(
  options: BigramOptions = {},
  env: Record<string, string> = {},
) {
  const folder = await chatFolder(template);
  const kit = await startServerKit({
    load: new BigramModels({ folder: folder.path, ...options }).load,
    env,
  });
  return {
    ...kit,
    async [Symbol.asyncDispose]() {
      await kit[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** Values of one token after another, as the client reads them. */
export const float32 = (value: unknown): number => Math.fround(Number(value));
