/* Histograms: a small one in a row, a large one in the drawer. */

import { short } from "./format";

export function Spark({ counts }: { counts: number[] | null }) {
  if (counts === null || counts.length === 0) return null;
  const most = Math.max(...counts) || 1;
  const path = counts.map((each, place) => `M${place * 2 + 1},18V${(18 - (16 * each) / most).toFixed(1)}`).join("");
  return (
    <svg class="spark" width={counts.length * 2} height={18} aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

interface HistogramProps {
  counts: number[];
  min: number;
  max: number;
  /** Values at both ends of the axis, which may be those of all tensors. */
  from: number;
  to: number;
  log: boolean;
}

const WIDTH = 340;
const HEIGHT = 130;

export function Histogram({ counts, min, max, from, to, log }: HistogramProps) {
  const scale = (value: number) => (log ? Math.log10(1 + value) : value);
  const most = Math.max(...counts.map(scale)) || 1;
  const span = to - from || 1;
  const x = (value: number) => ((value - from) / span) * WIDTH;
  const wide = Math.max(((max - min) / counts.length / span) * WIDTH, 1);
  const zero = from < 0 && to > 0 ? x(0) : null;
  return (
    <svg class="histogram" viewBox={`0 -4 ${WIDTH} ${HEIGHT + 22}`} role="img" aria-label={`Histogram from ${short(min)} to ${short(max)}`}>
      {zero !== null && <line class="axis" x1={zero} x2={zero} y1={0} y2={HEIGHT} />}
      {counts.map((each, place) => {
        const high = (HEIGHT * scale(each)) / most;
        const left = x(min + ((max - min) * place) / counts.length);
        return <rect key={place} x={left} y={HEIGHT - high} width={Math.max(wide - 0.5, 0.5)} height={high} />;
      })}
      <line class="axis" x1={0} x2={WIDTH} y1={HEIGHT} y2={HEIGHT} />
      <text x={0} y={HEIGHT + 14}>{short(from)}</text>
      <text x={WIDTH} y={HEIGHT + 14} text-anchor="end">{short(to)}</text>
    </svg>
  );
}
