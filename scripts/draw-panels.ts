// Panels of a Grafana dashboard as one page of plain SVG, where there is no Grafana: laid out by gridPos, a line for each
// series, a legend below. It knows neither Prometheus nor a browser. Pure.

export interface Panel {
  readonly type: string;
  readonly title: string;
  readonly gridPos: {
    readonly h: number;
    readonly w: number;
    readonly x: number;
    readonly y: number;
  };
  readonly fieldConfig?: { readonly defaults: { readonly unit: string } };
}

/** Seconds and values. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [at: number, value: number])[];
}

/** Pixels: of a page that has 24 columns. */
const column = 54;
const line = 26;
const colours = ['#73bf69', '#f2cc0c', '#5794f2', '#ff780a', '#f2495c', '#b877d9', '#37872d'];

export function pageOf(drawn: readonly { panel: Panel; series: readonly Series[] }[]): string {
  const bottom = Math.max(...drawn.map(({ panel: { gridPos } }) => gridPos.y + gridPos.h));
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 0; background: #111217; color: #ccccdc; font: 12px sans-serif; position: relative;
      width: ${24 * column}px; height: ${bottom * line}px; }
    section { position: absolute; box-sizing: border-box; padding: 6px 8px; overflow: hidden; }
    .panel { background: #181b1f; border: 4px solid #111217; border-radius: 6px; }
    h2 { font-size: 13px; font-weight: 500; margin: 0 0 4px; } .row h2 { font-size: 15px; }
    ul { margin: 2px 0; padding: 0; } li { display: inline; margin-right: 10px; font-size: 11px; }
    text { fill: #8e8e9e; font-size: 10px; } polyline { fill: none; stroke-width: 1.5; }
  </style>${drawn.map(({ panel, series }) => section(panel, series)).join('')}`;
}

function section(
  { type, title, gridPos: { x, y, w, h }, fieldConfig }: Panel,
  series: readonly Series[],
) {
  const box = `left:${x * column}px;top:${y * line}px;width:${w * column}px;height:${h * line}px`;
  const isRow = type === 'row';
  const legend = series.map(({ name }, i) => `<li style="color:${colourOf(i)}">${escaped(name)}`);
  const size = { width: w * column - 24, height: h * line - 70 };
  const body = isRow
    ? ''
    : `${chart(series, size, fieldConfig?.defaults.unit ?? 'short')}<ul>${legend.slice(0, 6).join('')}</ul>`;
  return `<section class="${isRow ? 'row' : 'panel'}" style="${box}"><h2>${escaped(title)}</h2>${body}</section>`;
}

interface Size {
  readonly width: number;
  readonly height: number;
}
const margin = { left: 52, bottom: 14 };

function chart(series: readonly Series[], { width, height }: Size, unit: string): string {
  const points = series.flatMap((one) => one.points);
  const [from, to] = [Math.min(...points.map(([at]) => at)), Math.max(...points.map(([at]) => at))];
  const top = Math.max(...points.map(([, value]) => value)) || 1;
  const [plotWidth, plotHeight] = [width - margin.left, height - margin.bottom];
  const x = (at: number) => margin.left + ((at - from) / (to - from || 1)) * plotWidth;
  const y = (value: number) => plotHeight - (value / top) * (plotHeight - 8);
  const marks = [0, 0.5, 1].map((share) => {
    const at = y(share * top);
    return `<line x1="${margin.left}" x2="${width}" y1="${at}" y2="${at}" stroke="#2c3235"/>
      <text x="${margin.left - 6}" y="${at + 3}" text-anchor="end">${valueText(share * top, unit)}</text>`;
  });
  const lines = series.map(
    (one, i) =>
      `<polyline stroke="${colourOf(i)}" points="${one.points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ')}"/>`,
  );
  return `<svg width="${width}" height="${height}">${marks.join('')}${lines.join('')}</svg>`;
}

const colourOf = (i: number): string => colours[i % colours.length] ?? '';

const short = (value: number): string => String(Number(value.toPrecision(3)));

function bytesText(value: number): string {
  const step = Math.min(3, Math.max(0, Math.floor(Math.log2(value || 1) / 10)));
  return `${short(value / 1024 ** step)} ${['B', 'KiB', 'MiB', 'GiB'][step]}`;
}

/** By the names that Grafana has for units. */
const texts: Record<string, (value: number) => string> = {
  s: (value) => (value < 1 ? `${short(value * 1000)} ms` : `${short(value)} s`),
  percentunit: (value) => `${short(value * 100)} %`,
  reqps: (value) => `${short(value)} /s`,
  bytes: bytesText,
  Bps: (value) => `${bytesText(value)}/s`,
};

const valueText = (value: number, unit: string): string => (texts[unit] ?? short)(value);

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
