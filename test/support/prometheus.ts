// A real Prometheus on a free port of this machine, with the scrape configuration that it is given.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { eventually } from './eventually.ts';

const host = '127.0.0.1';

export const whyNoPrometheus =
  spawnSync('prometheus', ['--version']).status === 0 ? false : 'no prometheus';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  assert.ok(typeof address === 'object' && address, 'the server has a port');
  return address.port;
}

/** Scrapes every second. What it keeps lies in `folder`; ends with a signal to `child`. */
export async function startPrometheus(
  folder: string,
  scrapes: readonly object[],
): Promise<{ url: string; child: ChildProcess }> {
  const file = join(folder, 'prometheus.json');
  const config = { global: { scrape_interval: '1s' }, scrape_configs: scrapes };
  await writeFile(file, JSON.stringify(config));
  const listenOn = `${host}:${await freePort()}`;
  const flags = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, 'tsdb')}`,
    `--web.listen-address=${listenOn}`,
    '--log.level=error',
  ];
  const child = spawn('prometheus', flags, { stdio: ['ignore', 'ignore', 'inherit'] });
  const url = `http://${listenOn}`;
  await eventually(async () => {
    assert.ok((await fetch(`${url}/-/ready`)).ok, 'prometheus is not ready');
  });
  return { url, child };
}
