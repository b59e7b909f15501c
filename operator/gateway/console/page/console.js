// The console: asks for the state every second while somebody looks, and changes only what is different.
import { callerText, detailsOf, podCard, runCard } from './cards.js';
import {
  agoText,
  bytesText,
  element,
  figure,
  nameParts,
  plural,
  setText,
  standingText,
  total,
} from './elements.js';

const everyMs = 1000;
const order = ['Refused', 'Failed', 'Starting', 'Loading', 'Warm', 'Unknown', 'Asleep'];

const byId = (id) => document.getElementById(id);
const rows = new Map();
let state = { gateway: '', models: [], pods: [], runs: [] };
let etag = '';
let only = '';
let opened = '';

// The table of models

function makeRow(name) {
  const [namespace, own] = nameParts(name);
  const button = element('button', { type: 'button' });
  button.append(element('span', { class: 'namespace' }, `${namespace}/`), own);
  const cell = (classes) => element('td', { class: classes });
  const cells = {
    standing: cell('standing'),
    held: cell('number'),
    inFlight: cell('number'),
    where: cell('wide where'),
    memory: cell('wide number'),
    kl: cell('wide number'),
    asked: cell('wide number'),
  };
  const row = element('tr', {}, element('th', { scope: 'row' }, button), ...Object.values(cells));
  row.addEventListener('click', () => open(name));
  return { row, button, cells, shown: '', model: undefined };
}

const placeOf = ({ pods, load, why }) => pods.join(', ') || load?.pod || why?.reason || '–';
const countText = (count) => (count === 0 ? '–' : String(count));

function wordsOf({ name, source, quantization, gpuClass, standing, runs }) {
  const words = [name, source, quantization, gpuClass, standing, ...runs];
  return words.join(' ').toLowerCase();
}

function fillRow(entry, model) {
  const { row, cells } = entry;
  row.dataset.standing = model.standing;
  setText(cells.standing, standingText(model));
  setText(cells.held, countText(model.held));
  setText(cells.inFlight, countText(model.inFlight));
  setText(cells.where, placeOf(model));
  setText(cells.memory, model.memory ? bytesText(total(model.memory)) : '–');
  setText(cells.kl, figure(model.fidelity?.kl));
  row.title = model.why ? `${model.why.reason}: ${model.why.message}` : '';
  entry.words = wordsOf(model);
  entry.model = model;
}

const attention = (a, b) => order.indexOf(a.standing) - order.indexOf(b.standing);

function showModels() {
  const body = byId('models');
  const sorted = [...state.models].sort(attention);
  const names = new Set(sorted.map(({ name }) => name));
  for (const [name, { row }] of rows) {
    if (names.has(name)) continue;
    row.remove();
    rows.delete(name);
  }
  let place = body.firstElementChild;
  for (const model of sorted) {
    const entry = rows.get(model.name) ?? makeRow(model.name);
    rows.set(model.name, entry);
    const text = JSON.stringify(model);
    if (entry.shown !== text) fillRow(entry, model);
    entry.shown = text;
    if (entry.row === place) place = place.nextElementSibling;
    else body.insertBefore(entry.row, place);
  }
}

function showTimes() {
  for (const { cells, model } of rows.values()) setText(cells.asked, agoText(model.lastRequest));
}

function filterRows() {
  const wanted = byId('filter').value.trim().toLowerCase().split(/\s+/);
  let shown = 0;
  for (const { row, words, model } of rows.values()) {
    const isShown =
      (only === '' || model.standing === only) && wanted.every((word) => words.includes(word));
    if (row.hidden === isShown) row.hidden = !isShown;
    if (isShown) shown += 1;
  }
  const isNone = shown === 0;
  byId('none').hidden = !isNone;
  if (isNone) setText(byId('none'), rows.size === 0 ? 'There is no model yet.' : 'No model fits.');
}

function showStandings() {
  const group = byId('standings');
  for (const standing of order) {
    const count = state.models.filter((model) => model.standing === standing).length;
    let chip = group.querySelector(`[data-only="${standing}"]`);
    if (!chip) {
      chip = element('button', { type: 'button', 'data-only': standing, 'aria-pressed': 'false' });
      chip.addEventListener('click', () => {
        only = only === standing ? '' : standing;
        showStandings();
        filterRows();
      });
      group.append(chip);
    }
    chip.hidden = count === 0 && only !== standing;
    chip.setAttribute('aria-pressed', String(only === standing));
    setText(chip, `${standing} ${count}`);
  }
}

// The other lists: few, so they are made anew when they change

function replace(list, values, make) {
  const text = JSON.stringify(values);
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  list.replaceChildren(...values.map(make));
}

function waitingFor(model) {
  if (model.why) return `${model.why.reason}: ${model.why.message}`;
  if (model.load) return `${model.load.pod} is ${model.load.phase.toLowerCase()} it.`;
  return model.standing === 'Warm' ? 'Its pods have enough to do.' : 'A pod is starting for it.';
}

function showWaiting() {
  const held = state.models.filter((model) => model.held > 0);
  byId('waiting').hidden = held.length === 0;
  replace(byId('waiting-list'), held, (model) =>
    element(
      'li',
      {},
      element('strong', {}, model.name),
      ` ${plural(model.held, 'request')} from ${model.waiting.map(callerText).join(', ')}`,
      element('p', { class: 'quiet' }, waitingFor(model)),
    ),
  );
}

// Details of one model

function open(name) {
  opened = name;
  byId('details-body').dataset.shown = '';
  showDetails();
  if (!byId('details').open) byId('details').showModal();
}

function showDetails() {
  const model = state.models.find(({ name }) => name === opened);
  if (!model) {
    byId('details').close();
    return;
  }
  setText(byId('details-title'), model.name);
  const body = byId('details-body');
  const text = JSON.stringify(model);
  if (body.dataset.shown === text) return;
  body.dataset.shown = text;
  body.replaceChildren(...detailsOf(model));
}

// The keyboard

function move(event) {
  const inOrder = [...byId('models').children].filter((row) => !row.hidden);
  if (inOrder.length === 0) return;
  const at = inOrder.indexOf(document.activeElement?.closest('tr'));
  const last = inOrder.length - 1;
  const to = { ArrowDown: Math.min(last, at + 1), ArrowUp: at - 1, Home: 0, End: last }[event.key];
  event.preventDefault();
  if (to < 0) byId('filter').focus();
  else inOrder[to].querySelector('button').focus();
}

const filterKeys = {
  Escape() {
    byId('filter').value = '';
    filterRows();
  },
  ArrowDown: move,
};

const pageKeys = {
  '/'(event) {
    event.preventDefault();
    byId('filter').focus();
  },
  ArrowDown: move,
  ArrowUp: move,
  Home: move,
  End: move,
};

document.addEventListener('keydown', (event) => {
  if (byId('details').open || event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = document.activeElement === byId('filter') ? filterKeys : pageKeys;
  if (Object.hasOwn(keys, event.key)) keys[event.key](event);
});
byId('filter').addEventListener('input', filterRows);
byId('details').addEventListener('close', () => {
  rows.get(opened)?.button.focus();
  opened = '';
});

// The state

function show() {
  showModels();
  showStandings();
  filterRows();
  showWaiting();
  replace(byId('pods'), state.pods, podCard);
  byId('no-pods').hidden = state.pods.length > 0;
  replace(byId('runs-list'), state.runs, runCard);
  byId('runs').hidden = state.runs.length === 0;
  setText(byId('gateway'), `As gateway ${state.gateway} sees it`);
  if (opened) showDetails();
}

function setConnection(text, isLost) {
  setText(byId('connection'), text);
  byId('connection').classList.toggle('lost', isLost);
}

async function refresh() {
  const answer = await fetch('/console/state', { headers: etag ? { 'if-none-match': etag } : {} });
  if (answer.status !== 304) {
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    state = await answer.json();
    etag = answer.headers.get('etag') ?? '';
    show();
  }
  showTimes();
}

async function follow() {
  if (!document.hidden) {
    await refresh().then(
      () => setConnection('live', false),
      () => setConnection('the gateway does not answer; trying again', true),
    );
  }
  setTimeout(() => void follow(), everyMs);
}

void follow();
