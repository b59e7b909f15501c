// Reads the file that says what pods of models may talk to. The API server checks the rules themselves.
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import type { PoolTraffic } from './resources/pool-plan.ts';

const rules = z.array(z.looseObject({}));
const poolTraffic = z.strictObject({ ingress: rules, egress: rules });

/** Throws when the file cannot be read, or is no object with the rules of both directions. */
export async function readPoolTraffic(path: string): Promise<PoolTraffic> {
  return poolTraffic.parse(parse(await readFile(path, 'utf8')));
}
