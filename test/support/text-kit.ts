// Checkpoint folders that have texts: the tiny tokenizer of the examples, changed as a test wants it.
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from './temporary-folder.ts';

const tiny = 'examples/models/tiny-python-llama';

/** Adds `<bos>` to every text, as the tokenizers of most models do. */
export const bosProcessor = {
  type: 'TemplateProcessing',
  single: [{ SpecialToken: { id: '<bos>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  pair: [],
  special_tokens: { '<bos>': { id: '<bos>', ids: [1], tokens: ['<bos>'] } },
};

/** Writes the first token itself, as most templates do. */
export const chatTemplate =
  "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";

/** A folder with a tokenizer that adds `<bos>`, and a chat template that writes it too. Dispose of it. */
export async function chatFolder(template = chatTemplate) {
  const folder = temporaryFolder();
  const tokenizer = JSON.parse(await readFile(join(tiny, 'tokenizer.json'), 'utf8'));
  const changed = JSON.stringify({ ...tokenizer, post_processor: bosProcessor });
  await writeFile(join(folder.path, 'tokenizer.json'), changed);
  await cp(join(tiny, 'tokenizer_config.json'), join(folder.path, 'tokenizer_config.json'));
  await writeFile(join(folder.path, 'chat_template.jinja'), template);
  return folder;
}
