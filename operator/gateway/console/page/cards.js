// Cards of pods and runs, and the details of a model: state in, elements out.
import {
  agoText,
  bytesText,
  colorOf,
  element,
  facts,
  figure,
  meter,
  nameParts,
  plural,
  secondsText,
  standingText,
  total,
} from './elements.js';

export const callerText = ({ caller, requests }) => `${caller || 'nameless callers'} (${requests})`;

/** Memory of one kind: what each model takes of the budget. */
function memoryMeter(pod, kind, words) {
  const limit = pod.limits?.[kind];
  const used = pod.models.filter(({ memory }) => memory?.[kind] > 0);
  if (!limit && used.length === 0) return undefined;
  const sum = used.reduce((bytes, { memory }) => bytes + memory[kind], 0);
  const parts = used.map(({ name, memory }) => ({
    label: `${name} ${bytesText(memory[kind])}`,
    share: memory[kind] / (limit ?? sum),
    color: colorOf(name),
  }));
  const text = `${bytesText(sum)}${limit ? ` of ${bytesText(limit)}` : ''} ${words}`;
  return element('div', {}, element('p', { class: 'quiet' }, text), meter(text, parts));
}

export function podCard(pod) {
  const { isHeard, isDraining, inFlight, maxModels } = pod;
  const busy = pod.models.filter(({ residency }) => residency !== 'Loaded');
  const words = [
    nameParts(pod.pool)[0],
    maxModels && `${pod.models.length} of ${plural(maxModels, 'model')}`,
    `${plural(inFlight, 'request')} running`,
    isDraining && 'ending',
    !isHeard && 'not heard from',
  ];
  const host = memoryMeter(pod, 'host', 'of the machine');
  const device = memoryMeter(pod, 'device', 'of the GPU');
  return element(
    'li',
    {},
    element('strong', {}, pod.pod),
    element('p', { class: 'quiet' }, words.filter(Boolean).join(' · ')),
    device,
    host,
    ...busy.map(({ name, residency }) => element('p', { class: 'quiet' }, `${name}: ${residency}`)),
  );
}

export function runCard({ run, models, expiresAt }) {
  const until = new Date(expiresAt).toLocaleTimeString();
  return element(
    'li',
    {},
    element('strong', {}, run),
    element('p', { class: 'quiet' }, `keeps ${models.join(', ')} warm until ${until}`),
  );
}

// Details of one model

const phases = ['schedule', 'image', 'download', 'convert', 'load'];

function timeline(coldStart) {
  const known = phases.filter((phase) => coldStart[phase] > 0);
  const sum = known.reduce((seconds, phase) => seconds + coldStart[phase], 0);
  const parts = known.map((phase) => ({
    label: `${phase} ${secondsText(coldStart[phase])}`,
    share: coldStart[phase] / sum,
    color: `var(--bar-${1 + phases.indexOf(phase)})`,
  }));
  return meter(
    `Last cold start, ${secondsText(sum)}: ${parts.map((p) => p.label).join(', ')}`,
    parts,
  );
}

function loadMeter({ pod, phase, bytes, totalBytes }) {
  const share = totalBytes ? bytes / totalBytes : 0;
  const size = totalBytes ? `, ${bytesText(bytes)} of ${bytesText(totalBytes)}` : '';
  const label = `${phase} on ${pod}${size}`;
  return meter(label, [{ label, share, color: 'var(--load)' }]);
}

function findingBox({ reason, message, remedy }) {
  const isCode = /^[A-Z_]+$/.test(reason);
  const link = element('a', { href: `/console/errors#${reason}` }, reason);
  return element(
    'div',
    { class: 'finding' },
    element('p', {}, element('strong', {}, isCode ? link : reason)),
    element('p', {}, message),
    remedy && element('p', {}, `Remedy: ${remedy}.`),
  );
}

const factsOf = (model) =>
  facts([
    ['State', standingText(model)],
    ['Source', model.source],
    ['Revision', model.revision],
    ['Architecture', model.architecture],
    ['Parameters', model.parameters && `${(model.parameters / 1e6).toFixed(1)} million`],
    ['Format', model.quantization],
    ['Task', model.task],
    ['Class', model.gpuClass && `${model.gpuClass}, ${model.placement.toLowerCase()}`],
    ['Access', model.access.toLowerCase()],
    ['Pods', model.pods.join(', ')],
    ['Memory', model.memory && bytesText(total(model.memory))],
    ['Last request', agoText(model.lastRequest)],
    ['Sleeps after', model.idleTimeout],
    ['Kept by runs', model.runs.join(', ')],
    ['Waiting', model.waiting.map(callerText).join(', ')],
  ]);

function fidelityOf({ kl, meanAbsDelta, maxAbsDelta, tokens }, maxKL) {
  const bound = maxKL === undefined ? '' : `, at most ${maxKL} allowed`;
  return facts([
    ['Mean KL', kl === undefined ? undefined : `${figure(kl)} nats per token${bound}`],
    ['Mean difference', figure(meanAbsDelta)],
    ['Largest difference', figure(maxAbsDelta)],
    ['Measured on', tokens && plural(tokens, 'token')],
  ]);
}

const policyOf = ({ k1, k3, tokens }) =>
  facts([
    ['KL (k3)', `${figure(k3)} nats per token`],
    ['KL (k1)', `${figure(k1)} nats per token`],
    ['Measured on', plural(tokens, 'token')],
  ]);

const section = (text, value, make) => (value ? [element('h3', {}, text), make(value)] : []);

export const detailsOf = (model) => [
  ...(model.why ? [findingBox(model.why)] : []),
  factsOf(model),
  ...section('Load under way', model.load, loadMeter),
  ...section('Last cold start', model.coldStart, timeline),
  ...section('Distance from the checkpoint', model.fidelity, (fidelity) =>
    fidelityOf(fidelity, model.maxKL),
  ),
  ...section('Distance of the policy from it, last batch', model.policy, policyOf),
];
