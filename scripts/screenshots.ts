// The pictures of docs/images: the console of a `refmodel local` that serves small real models, in a real Chromium.
// `CHROMIUM=$(scripts/chromium.sh) node --import tsx scripts/screenshots.ts`
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Browser, chromium, type Page } from 'playwright-core';

const folder = 'docs/images';
const size = { width: 1120, height: 860 };

interface Example {
  name: string;
  claim: 'models' | 'golden';
  path: string;
  more?: object;
}

const examples: Example[] = [
  { name: 'python-llama', claim: 'models', path: 'tiny-python-llama' },
  { name: 'python-judge', claim: 'models', path: 'tiny-python-reward' },
  { name: 'qwen3', claim: 'golden', path: 'qwen3' },
  { name: 'gemma3', claim: 'golden', path: 'gemma3' },
  { name: 'unfinished-upload', claim: 'golden', path: 'nowhere' },
  { name: 'mixtral', claim: 'golden', path: 'mixtral', more: { placement: 'Dedicated' } },
];

const apiVersion = 'refmodel.dev/v1alpha1';
const manifests = [
  {
    apiVersion,
    kind: 'GPUClass',
    metadata: { name: 'small', annotations: { 'refmodel.dev/is-default-class': 'true' } },
    spec: { executionProvider: 'CPU', memory: '72Mi', maxModels: 4 },
  },
  ...examples.map(({ name, claim, path, more }) => ({
    apiVersion,
    kind: 'ReferenceModel',
    metadata: { name, namespace: 'rl' },
    spec: { model: { persistentVolumeClaim: { claimName: claim, path } }, ...more },
  })),
];

/** `refmodel local` over the manifests, and its address. */
async function start(work: string): Promise<{ child: ChildProcess; url: string }> {
  for (const [i, manifest] of manifests.entries()) {
    await writeFile(join(work, `${i}.json`), JSON.stringify(manifest));
  }
  const volumes = ['--volume', 'models=examples/models', '--volume', 'golden=test/golden'];
  const cache = ['--cache', join(work, 'cache')];
  const argv = ['--import', 'tsx', 'refmodel.ts', 'local', work, ...volumes, ...cache];
  const child = spawn(process.execPath, [...argv, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const [url] = /http:\/\/[\d.:]+/.exec(line) ?? [];
    if (url) return { child, url };
  }
  throw new Error('refmodel local did not start');
}

async function send(url: string, path: string, method: string, body: object): Promise<void> {
  const headers = { 'content-type': 'application/json', 'x-refmodel-run': 'grpo-7' };
  const answer = await fetch(url + path, { method, headers, body: JSON.stringify(body) });
  await answer.arrayBuffer();
}

const ask = (url: string, model: string, more: object = {}) =>
  send(url, model === 'python-judge' ? '/v1/rewards' : '/v1/logprobs', 'POST', {
    model: `rl/${model}`,
    input_ids: [[1, 22, 20, 53, 43]],
    ...more,
  });

async function open(browser: Browser, url: string, colorScheme: 'light' | 'dark'): Promise<Page> {
  const page = await browser.newPage({ colorScheme, viewport: size, reducedMotion: 'reduce' });
  await page.goto(`${url}/console`);
  await page.getByText('live', { exact: true }).waitFor();
  return page;
}

const save = (page: Page, name: string) => page.screenshot({ path: join(folder, `${name}.png`) });

async function shoot(browser: Browser, url: string): Promise<void> {
  const policy_logprobs = [[null, -3.9, -2.8, -3.5, -6.7]];
  await ask(url, 'python-llama', { input_ids: [[1, 622, 201, 53, 430]], policy_logprobs });
  for (const model of ['python-judge', 'qwen3', 'unfinished-upload']) await ask(url, model);
  const lease = { models: ['rl/python-llama', 'rl/python-judge'], ttl_seconds: 3600 };
  await send(url, '/v1/leases/grpo-7', 'PUT', lease);
  const light = await open(browser, url, 'light');
  const dark = await open(browser, url, 'dark');
  const held = Promise.all(Array.from({ length: 3 }, () => ask(url, 'mixtral')));
  await Promise.all([light, dark].map((page) => page.locator('#waiting').waitFor()));
  await save(light, 'console-light');
  await save(dark, 'console-dark');
  await held;
  await light.getByRole('button', { name: 'python-llama' }).click();
  await light.getByRole('dialog').waitFor();
  await save(light, 'console-details');
}

const work = await mkdtemp(join(tmpdir(), 'refmodel-screenshots-'));
const { child, url } = await start(work);
try {
  const executablePath = process.env['CHROMIUM'];
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  await shoot(browser, url);
  await browser.close();
} finally {
  child.kill();
  await once(child, 'exit');
  await rm(work, { recursive: true });
}
