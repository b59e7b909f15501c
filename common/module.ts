// Our own modules as child processes and threads: `.ts` under tsx, `.js` once built.
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

/** The file of a module beside the calling one: `modulePath(import.meta.url, './runner')`. */
export function modulePath(base: string, name: string): string {
  const extension = base.endsWith('.ts') ? '.ts' : '.js';
  return fileURLToPath(new URL(name + extension, base));
}

/** A thread of such a module. No loader of TypeScript reaches a thread by itself. */
export function moduleWorker(base: string, name: string): Worker {
  const { href } = new URL(base.endsWith('.ts') ? `${name}.ts` : `${name}.js`, base);
  if (href.endsWith('.js')) return new Worker(new URL(href));
  const program = `
    import('tsx/esm/api').then(({ register }) => {
      register();
      return import(${JSON.stringify(href)});
    });
  `;
  return new Worker(program, { eval: true });
}
