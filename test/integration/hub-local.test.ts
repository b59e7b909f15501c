// `refmodel local` with a gated model of the hub: the real command, the real server, a hub on loopback.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { filesOf, HubServer } from '../support/hub-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = path.resolve(import.meta.dirname, '../..');
const example = path.join(root, 'examples/models/tiny-python-llama');
const golden = JSON.parse(readFileSync(path.join(example, 'golden.json'), 'utf8')) as {
  rows: { input_ids: number[]; log_probs: number[] }[];
};
const manifest = `
apiVersion: refmodel.dev/v1alpha1
kind: ReferenceModel
metadata: {name: tiny}
spec:
  model: {huggingFace: {repo: a/b, tokenSecretRef: {name: hf}}}
  quantization: None
`;

async function startLocal(folder: string, env: NodeJS.ProcessEnv) {
  const file = path.join(folder, 'models.yaml');
  writeFileSync(file, manifest);
  const flags = ['local', file, '--port', '0', '--cache', path.join(folder, 'cache')];
  const child = spawn(process.execPath, ['--import', 'tsx', 'refmodel.ts', ...flags], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const url = await eventually(() => {
    const [found] = /http:\/\/[\d.:]+/.exec(printed) ?? [];
    assert.ok(found, 'it listens');
    return found;
  });
  return {
    ask: async (input_ids: number[]) => {
      const body = JSON.stringify({ model: 'default/tiny', input_ids: [input_ids] });
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${url}/v1/logprobs`, { method: 'POST', headers, body });
      return { status: answer.status, revision: answer.headers.get('x-refmodel-revision'), answer };
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

describe('refmodel local with a gated model of the hub', () => {
  const files = filesOf(example);
  const [row] = golden.rows;

  it('downloads it with HF_TOKEN, serves it, and names its commit', async () => {
    using folder = temporaryFolder();
    await using server = await HubServer.start({ 'a/b': { files, readers: ['secret'] } });
    const env = { HF_ENDPOINT: server.endpoint, HF_TOKEN: 'secret', NO_PROXY: '127.0.0.1' };
    await using local = await startLocal(folder.path, env);

    const { status, revision, answer } = await local.ask(row!.input_ids);

    assert.equal(status, 200);
    assert.equal(revision, server.commit('a/b', files));
    assert.ok((await answer.text()).includes('log'), 'there are log-probs');
  });

  it('says what to do without a token', async () => {
    using folder = temporaryFolder();
    await using server = await HubServer.start({ 'a/b': { files, readers: ['secret'] } });
    const env = { HF_ENDPOINT: server.endpoint, HF_TOKEN: '', NO_PROXY: '127.0.0.1' };
    await using local = await startLocal(folder.path, env);

    const { answer } = await local.ask(row!.input_ids);

    const text = await answer.text();
    assert.match(text, /HUB_UNAUTHORIZED/);
    assert.match(text, /HF_TOKEN/);
  });
});
