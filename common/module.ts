// Our own modules as child processes: `.ts` under tsx, `.js` once built.
import { fileURLToPath } from 'node:url';

/** The file of a module beside the calling one: `modulePath(import.meta.url, './runner')`. */
export function modulePath(base: string, name: string): string {
  const extension = base.endsWith('.ts') ? '.ts' : '.js';
  return fileURLToPath(new URL(name + extension, base));
}
