// Building blocks of the page: elements, words and bars. Whatever comes from outside is put in as text, never as markup.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== undefined && child !== ''));
  return made;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const plural = (count, word) => `${count} ${word}${count === 1 ? '' : 's'}`;
export const nameParts = (name) => name.split('/');

export function bytesText(bytes) {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  return `${(bytes / 2 ** 20).toFixed(bytes === 0 || bytes >= 10 * 2 ** 20 ? 0 : 1)} MiB`;
}

export function secondsText(seconds) {
  if (seconds >= 120) return `${Math.round(seconds / 60)} min`;
  return seconds >= 10 ? `${Math.round(seconds)} s` : `${seconds.toFixed(1)} s`;
}

export function agoText(iso) {
  if (iso === undefined) return '–';
  const seconds = Math.max(0, (Date.now() - Date.parse(iso)) / 1000);
  if (seconds < 10) return 'now';
  if (seconds < 60) return `${Math.floor(seconds / 10) * 10} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

export const figure = (number) =>
  number === undefined ? '–' : Number(number.toPrecision(2)).toString();
export const total = (memory) => (memory ? memory.host + memory.device : undefined);

/** The same model has the same color everywhere. */
export function colorOf(name) {
  let sum = 0;
  for (const char of name) sum = (sum * 31 + char.charCodeAt(0)) % 9973;
  return `var(--bar-${1 + (sum % 5)})`;
}

/** A bar of parts, and what they are: [{label, share, color}], shares of 1. */
export function meter(label, parts, legend = parts) {
  const track = element('div', { class: 'track', role: 'img', 'aria-label': label });
  for (const { share, color } of parts) {
    const part = element('span');
    part.style.setProperty('--share', `${(100 * Math.min(1, share)).toFixed(2)}%`);
    part.style.setProperty('--color', color);
    track.append(part);
  }
  const list = element('ul', { class: 'legend' });
  for (const { label: text, color } of legend) {
    const item = element('li', {}, text);
    item.style.setProperty('--color', color);
    list.append(item);
  }
  return element('div', { class: 'meter' }, track, list);
}

export function facts(pairs) {
  const list = element('dl', { class: 'facts' });
  for (const [name, value] of pairs) {
    if (value === undefined || value === '') continue;
    list.append(element('dt', {}, name), element('dd', {}, value));
  }
  return list;
}

/** With the phase of its load, and how far that is. */
export function standingText({ standing, load }) {
  if (standing !== 'Loading' || !load) return standing;
  const { phase, bytes, totalBytes } = load;
  return totalBytes ? `${phase} ${Math.floor((100 * bytes) / totalBytes)} %` : phase;
}
