// Log-probs as text. A float32 printed as a double costs twice the bytes and shows digits that are not there.

const smallestNormal = 2 ** -126;
const powers = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/**
 * The decimal of fewest digits nearest to a finite float32 that reads back as the same float32.
 * Nine digits always suffice; of six or fewer, none gets lost in a normal float32, so six find the shortest too
 * (IEEE 754-2019, 5.12.2; trailing zeros are not printed).
 */
export function float32Text(value: number): string {
  if (value === 0) return '0';
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  for (let digits = Math.abs(value) < smallestNormal ? 1 : 6; digits <= 9; digits++) {
    const short = roundTo(value, digits, exponent);
    if (Math.fround(short) === value) return String(short);
  }
  return String(value);
}

/** The same as a number, for bodies that JSON.stringify writes. */
export const shortest = (value: number): number => Number(float32Text(value));

function roundTo(value: number, digits: number, exponent: number): number {
  const power = powers[digits - 1 - exponent]; // exact in a double up to 10^22
  return power === undefined
    ? Number(value.toPrecision(digits))
    : Math.round(value * power) / power;
}

/** A log-prob is never above 0, and JSON has no infinity: vLLM and its clients use -9999. */
export function logprobText(value: number): string {
  if (value >= 0) return '0';
  return value === -Infinity ? '-9999.0' : float32Text(value);
}
