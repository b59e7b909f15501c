// Which models this pool serves, read from a file that someone else replaces. Polled by its stat: that sees a plain
// rename, a write in place and the swapped link of a mounted ConfigMap alike, on every file system.
import { readFile, stat } from 'node:fs/promises';
import { abortable } from '../common/abort.ts';
import type { Clock } from '../common/clock.ts';
import type { Logger } from '../common/log.ts';
import { Changes } from './changes.ts';
import { type CatalogModel, catalog as catalogSchema } from './contract.ts';

const pollMs = 250;

export interface CatalogOptions {
  path: string;
  clock: Clock;
  log: Logger;
}

export class Catalog {
  /** Told when `models` became another list. */
  readonly changes = new Changes();
  readonly #options: CatalogOptions;
  #models: readonly CatalogModel[] | undefined;
  #byName: ReadonlyMap<string, CatalogModel> = new Map();
  #version = '';

  constructor(options: CatalogOptions) {
    this.#options = options;
  }

  /** False until the file could be read once. */
  get isRead(): boolean {
    return this.#models !== undefined;
  }

  /** As they stood in the last file that was valid. */
  get models(): readonly CatalogModel[] {
    return this.#models ?? [];
  }

  find(name: string): CatalogModel | undefined {
    return this.#byName.get(name);
  }

  /** The model as soon as the catalog has it. Rejects with the signal's reason. */
  async waitFor(name: string, signal: AbortSignal): Promise<CatalogModel> {
    for (;;) {
      const { next } = this.changes;
      const model = this.find(name);
      if (model) return model;
      await abortable(next, signal);
    }
  }

  /** Follows the file until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.refresh();
      await this.#options.clock.delay(pollMs, signal).catch(() => {}); // the loop ends
    }
  }

  /** Reads the file if it changed. One that is missing, half-written or invalid leaves all as it was. */
  async refresh(): Promise<void> {
    const { path, log } = this.#options;
    const version = await fileVersion(path);
    if (version === this.#version) return;
    this.#version = version;
    try {
      const { models } = catalogSchema.parse(JSON.parse(await readFile(path, 'utf8')));
      this.#models = models;
      this.#byName = new Map(models.map((model) => [model.name, model]));
      log.info({ models: models.length }, 'catalog read');
      this.changes.notify();
    } catch (err) {
      log.warn({ err, path }, 'the catalog cannot be read, the last good one stays');
    }
  }
}

/** Another text whenever the content may be another; links are followed. */
async function fileVersion(path: string): Promise<string> {
  try {
    const { ino, mtimeNs, size } = await stat(path, { bigint: true });
    return `${ino} ${mtimeNs} ${size}`;
  } catch (err) {
    return String(err);
  }
}
