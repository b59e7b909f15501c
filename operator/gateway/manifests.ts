// YAML files → ReferenceModels and GPUClasses, checked as the API server would. Reads files, runs nothing.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Document, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { AppError } from '../../common/errors.ts';
import { type GPUClass, gpuClass } from '../../crds/gpu-class.ts';
import {
  apiVersion,
  group,
  type ReferenceModel,
  referenceModel,
} from '../../crds/reference-model.ts';
import { modelKey } from '../pool.ts';

export interface Manifests {
  models: ReferenceModel[];
  classes: GPUClass[];
  /** What was passed over, one line each. */
  notes: string[];
}

/** One document of a file: "models.yaml, document 2". */
type Place = string;

const extensions = /\.(ya?ml|json)$/;
/** What `kubectl get -o yaml` prints. */
const list = z.object({
  apiVersion: z.literal('v1'),
  kind: z.literal('List'),
  items: z.array(z.unknown()),
});
const envelope = z.object({ apiVersion: z.string(), kind: z.string() });

/**
 * Reads files, and the YAML and JSON files right inside folders.
 * Throws MANIFEST_INVALID naming file, document and field; objects of other kinds are noted and ignored.
 */
export async function readManifests(paths: readonly string[]): Promise<Manifests> {
  const manifests: Manifests = { models: [], classes: [], notes: [] };
  for (const file of (await Promise.all(paths.map(filesOf))).flat()) {
    parseManifests(file, await readFile(file, 'utf8'), manifests);
  }
  return manifests;
}

/** Adds the objects of one file's text to `manifests`. */
export function parseManifests(file: string, text: string, manifests: Manifests): void {
  // eslint-disable-next-line unicorn/no-array-for-each -- the parser's own type is no plain array
  const documents = [...parseAllDocuments(text)];
  for (const [index, document] of documents.entries()) {
    const place = `${file}, document ${index + 1}`;
    const value = valueOf(document, place);
    if (value === null || value === undefined) continue;
    for (const object of objectsIn(value)) addObject(object, place, manifests);
  }
}

async function filesOf(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = await readdir(path);
    return names
      .filter((name) => extensions.test(name))
      .sort()
      .map((name) => join(path, name));
  } catch (cause) {
    throw new AppError('MANIFEST_INVALID', `reading ${path}: ${messageOf(cause)}`, { cause });
  }
}

function valueOf(document: Document, place: Place): unknown {
  const [error] = document.errors;
  if (error) throw invalid(place, error.message.trim().replaceAll(/\s*\n\s*/g, ' '), error);
  try {
    return document.toJS();
  } catch (cause) {
    throw invalid(place, messageOf(cause), cause);
  }
}

/** Of a document: itself, or those in the List that it is. */
const objectsIn = (value: unknown): unknown[] => list.safeParse(value).data?.items ?? [value];

function addObject(value: unknown, place: Place, manifests: Manifests): void {
  const { data: head } = envelope.safeParse(value);
  if (!head) throw invalid(place, 'apiVersion and kind are missing');
  const isOurs = head.apiVersion.startsWith(`${group}/`);
  if (isOurs && head.apiVersion !== apiVersion) {
    throw invalid(place, `apiVersion: this is ${head.apiVersion}, only ${apiVersion} is known`);
  }
  if (isOurs && head.kind === 'ReferenceModel') addModel(value, place, manifests);
  else if (isOurs && head.kind === 'GPUClass') addClass(value, place, manifests);
  else if (isOurs) throw invalid(place, `kind: "${head.kind}" is unknown`);
  else manifests.notes.push(`${place}: ${head.kind} is ignored`);
}

function addModel(value: unknown, place: Place, { models }: Manifests): void {
  const model = parse(referenceModel, value, place);
  if (models.some((other) => modelKey(other) === modelKey(model))) {
    throw invalid(place, `metadata.name: there is a ReferenceModel ${modelKey(model)} already`);
  }
  models.push(model);
}

function addClass(value: unknown, place: Place, { classes }: Manifests): void {
  const read = parse(gpuClass, value, place);
  const { name } = read.metadata;
  if (classes.some((other) => other.metadata.name === name)) {
    throw invalid(place, `metadata.name: there is a GPUClass ${name} already`);
  }
  classes.push(read);
}

function parse<T extends z.ZodType>(schema: T, value: unknown, place: Place): z.output<T> {
  const result = schema.safeParse(value);
  if (!result.success) {
    const problems = result.error.issues.map(
      ({ path, message }) => `${path.join('.')}: ${message}`,
    );
    throw invalid(place, problems.join('; '), result.error);
  }
  const [unknown] = unknownFields(specOf(value), specOf(result.data), 'spec');
  if (unknown) throw invalid(place, `${unknown}: there is no such field`);
  return result.data;
}

const objectWithSpec = z.object({ spec: z.unknown() });
const specOf = (value: unknown): unknown => objectWithSpec.safeParse(value).data?.spec;

/** Fields of `given` that the schema dropped: a misspelt one would silently keep its default. kubectl refuses them too. */
function unknownFields(given: unknown, kept: unknown, path: string): string[] {
  if (!isObject(given) || !isObject(kept)) return [];
  return Object.entries(given).flatMap(([name, value]) =>
    Object.hasOwn(kept, name)
      ? unknownFields(value, kept[name], `${path}.${name}`)
      : [`${path}.${name}`],
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

const invalid = (place: Place, what: string, cause?: unknown) =>
  new AppError('MANIFEST_INVALID', `reading ${place}: ${what}`, { cause });

const messageOf = (err: unknown): string => (err instanceof Error ? err.message : String(err));
