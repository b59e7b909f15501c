// The pages of docs/ and the README: what they name is there.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { errorKinds } from '../../common/errors.ts';
import { controllerConfig } from '../../operator/controller/config.ts';
import { gatewayConfig } from '../../operator/gateway/config.ts';
import { localConfig } from '../../operator/gateway/local.ts';
import { serverConfig } from '../../server/config.ts';

const pages = readdirSync('docs', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)
  .concat('README.md', 'CONTRIBUTING.md');

/** As the forge makes the anchor of a title. */
const anchorOf = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');

function anchors(file: string): string[] {
  const titles = readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm);
  return [...titles].map(([, title = '']) => anchorOf(title));
}

interface Link {
  readonly file: string;
  readonly anchor?: string;
}

function linksOf(page: string): Link[] {
  const found = readFileSync(page, 'utf8').matchAll(/\]\(([^)\s]+)\)/g);
  return [...found].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [file = '', anchor] = target.split('#');
    return [{ file: file ? path.join(path.dirname(page), file) : page, anchor }];
  });
}

const settings = [controllerConfig, gatewayConfig, localConfig, serverConfig].flatMap((schema) =>
  Object.keys(schema.shape),
);
/** Names of other programs, and of the tests and the build. */
const others =
  /^(REFMODEL_E2E_\w+|KUBECONFIG|HF_HUB_CACHE|LD_LIBRARY_PATH|CUDA_VISIBLE_DEVICES|HF_\w+)$/;

describe('the documentation', () => {
  for (const page of pages) {
    it(`${page} links to what exists`, () => {
      for (const { file, anchor } of linksOf(page)) {
        assert.ok(existsSync(file), `${file} is not there`);
        if (anchor) assert.ok(anchors(file).includes(anchor), `${file} has no #${anchor}`);
      }
    });
  }

  for (const page of ['troubleshooting', 'security', 'capacity', 'operations', 'install', 'gpu']) {
    it(`${page}.md names errors and settings that there are`, () => {
      const text = readFileSync(`docs/${page}.md`, 'utf8');
      const names = [...text.matchAll(/`([A-Z]+(?:_[A-Z0-9]+)+)`/g)].map(([, name = '']) => name);

      assert.deepEqual(
        names.filter(
          (name) => !(name in errorKinds || settings.includes(name) || others.test(name)),
        ),
        [],
      );
    });
  }

  it('is listed, page by page, in docs/README.md', () => {
    const listed = new Set(linksOf('docs/README.md').map(({ file }) => file));

    const missing = pages.filter(
      (page) =>
        /^docs\/(trainers\/)?[^/]+$/.test(page) && !listed.has(page) && !page.endsWith('README.md'),
    );
    assert.deepEqual(missing, []);
  });

  it('lists every example in docs/install.md', () => {
    const listed = new Set(linksOf('docs/install.md').map(({ file }) => file));

    const missing = readdirSync('examples')
      .filter((name) => name.endsWith('.yaml') && !name.startsWith('tiny-'))
      .filter((name) => !listed.has(`examples/${name}`));
    assert.deepEqual(missing, []);
  });
});
