// Every error code with its cause and its remedy, as a page of the console: where there is no way out to the web, it is
// the one that a link can lead to. Pure; from the same table as docs/errors.md.
import { errorKinds } from '../../../common/errors.ts';

export function errorsPage(): string {
  const items = Object.entries(errorKinds).map(
    ([code, { status, isRetryable, cause, remedy }]) =>
      `<dt id="${code}">${code}</dt>\n<dd><p>${escape(sentence(cause))}</p><p>${escape(sentence(remedy))}</p>` +
      `<p class="quiet">Status ${status}${isRetryable ? ', may be sent again' : ''}</p></dd>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Error codes · refmodel</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/console/console.css">
</head>
<body>
<header><h1>Error codes</h1><p><a href="/console">Console</a></p></header>
<main><dl class="errors">
${items.join('\n')}
</dl></main>
</body>
</html>
`;
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};
const escape = (text: string): string => text.replaceAll(/[&<>"]/g, (char) => entities[char] ?? '');
