// 4-bit NormalFloat as bitsandbytes makes it, bit for bit, and MatMulBnb4 reads it: flat blocks of 64, a float32 scale
// each. The sixteen values and the bounds between them: QLoRA, arXiv:2305.14314, and bitsandbytes 0.50 (functional.py,
// backends/default/ops.py). Pure number code.

/** Weights that share a scale. Blocks run over the whole tensor and do not end with a row. */
export const nf4BlockSize = 64;

/** Evenly likely values of a normal distribution, scaled to -1 … 1, with an exact zero. */
const values = Float32Array.of(
  -1.0,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1.0,
);
/** Between each value and the next; a number on a bound belongs below. */
const bounds = Float32Array.from(values.subarray(1), (value, i) => ((values[i] ?? 0) + value) / 2);

export interface Nf4Blocks {
  /** uint8 [count / 2], the high half of a byte first */
  readonly codes: Uint8Array;
  /** float32 [count / 64], the largest magnitude of a block */
  readonly scales: Float32Array;
}

export const allocateNf4 = (count: number): Nf4Blocks => ({
  codes: new Uint8Array(Math.ceil(count / 2)),
  scales: new Float32Array(Math.ceil(count / nf4BlockSize)),
});

/** weights float32, flat → blocks, into `into` when it is given. */
export function quantizeNf4(weights: Float32Array, into = allocateNf4(weights.length)): Nf4Blocks {
  const { codes, scales } = into;
  for (let block = 0; block < scales.length; block++) {
    const start = block * nf4BlockSize;
    const stop = Math.min(start + nf4BlockSize, weights.length);
    let largest = 0;
    for (let i = start; i < stop; i++) largest = Math.max(largest, Math.abs(weights[i] ?? 0));
    scales[block] = largest;
    const inverse = Math.fround(1 / Math.max(largest, 1e-38));
    for (let i = start; i < stop; i += 2) {
      const high = codeOf(Math.fround((weights[i] ?? 0) * inverse));
      const low = i + 1 < stop ? codeOf(Math.fround((weights[i + 1] ?? 0) * inverse)) : 7;
      codes[i >> 1] = (high << 4) | low;
    }
  }
  return into;
}

/** How many bounds lie below `x`: four comparisons. */
function codeOf(x: number): number {
  let code = 0;
  for (let step = 8; step > 0; step >>= 1) {
    if (x > (bounds[code + step - 1] ?? Infinity)) code += step;
  }
  return code;
}

/** Blocks → float32 [count]: what the runtime computes with. */
export function dequantizeNf4({ codes, scales }: Nf4Blocks, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    const pair = codes[i >> 1] ?? 0;
    const code = i % 2 === 0 ? pair >> 4 : pair & 15;
    return (values[code] ?? 0) * (scales[Math.floor(i / nf4BlockSize)] ?? 0);
  });
}
