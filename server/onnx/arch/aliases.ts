// Other names that a tensor may have in a checkpoint. Knows names only.

/** What may stand before the names of a model's trunk, by what we write there. */
const prefixes: readonly (readonly [string, readonly string[]])[] = [
  // nothing: saved without its head; the others: the text part of a model with images
  ['model.', ['', 'model.language_model.', 'language_model.model.']],
  ['transformer.', ['']],
  ['gpt_neox.', ['']],
  // the head of GPT-NeoX, by its name in code
  ['embed_out.', ['lm_head.']],
];

export function aliasesOf(name: string): string[] {
  const [prefix, others] = prefixes.find(([prefix]) => name.startsWith(prefix)) ?? ['', []];
  return others.map((other) => other + name.slice(prefix.length));
}
