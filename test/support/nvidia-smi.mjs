#!/usr/bin/env node
// Answers like nvidia-smi, from a JSON file that is its first argument: {gpus: [{index, uuid, …fields}], processes: [{gpu,
// pid, used_memory}], broken: "what it says"}.
import { readFileSync } from 'node:fs';

const [file, ...args] = process.argv.slice(2);
const { gpus = [], processes = [], broken } = JSON.parse(readFileSync(file, 'utf8'));
const options = new Map(args.map((arg) => arg.replace(/^--/, '').split(/=(.*)/s)));

function fail(message, code) {
  process.stdout.write(`${message}\n`);
  process.exit(code);
}

const print = (rows, fields) => {
  for (const row of rows) {
    const unknown = fields.find((field) => !(field in row));
    if (unknown) fail(`Field "${unknown}" is not a valid field to query.`, 2);
    process.stdout.write(`${fields.map((field) => row[field]).join(', ')}\n`);
  }
};

if (broken) fail(broken, 9);
if (options.get('format') !== 'csv,noheader,nounits') fail('another format', 2);
const id = options.get('id');
const chosen = gpus.filter(
  ({ index, uuid }) => id === undefined || [`${index}`, uuid].includes(id),
);
if (chosen.length === 0) fail('No devices were found', 6);
if (options.has('query-gpu')) print(chosen, options.get('query-gpu').split(','));
if (options.has('query-compute-apps')) {
  const own = processes.filter(({ gpu = 0 }) => chosen.some(({ index }) => index === gpu));
  print(own, options.get('query-compute-apps').split(','));
}
