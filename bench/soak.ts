// The soak of test/support/soak.ts for as long as one likes: `node --import tsx bench/soak.ts [seconds] [seed]`.
import { availableParallelism, cpus } from 'node:os';
import { soak } from '../test/support/soak.ts';

const [, , seconds = '300', seed = String(Date.now() % 2 ** 31)] = process.argv;
console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} threads`);
console.log(`${seconds} s, seed ${seed}`);
const report = await soak({ seconds: Number(seconds), seed: Number(seed) });
console.log(report);
const isSound = report.wrong.length + report.lost.length + report.left === 0;
process.exitCode = isSound && report.answers > 0 && report.exitCode === 0 ? 0 : 1;
