// Graphs with intervals, and bars side by side: as SVG, so that a policy without inline style still draws them.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Bar } from "./models";
import { brief } from "./parts";

export interface Dot { at: number; value: number | null; low: number | null; high: number | null; title: string; bad?: boolean }
interface GraphProps { dots: Dot[]; band: Dot[]; reference: number | null; at: [number, number]; tick: (at: number) => string; text: (value: number) => string; label: string }

const H = 190, LEFT = 58, RIGHT = 10, TOP = 10, BOTTOM = 24;

function useWidth(): [{ current: HTMLDivElement | null }, number] {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(600);
  useEffect(() => {
    const el = box.current!;
    const seen = new ResizeObserver(() => setWidth(Math.max(220, el.clientWidth)));
    seen.observe(el);
    return () => seen.disconnect();
  }, []);
  return [box, width];
}

function nice(low: number, high: number): number[] {
  const size = (high - low || 1) / 6;
  const power = 10 ** Math.floor(Math.log10(size));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= size) ?? size;
  const found: number[] = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return found;
}

const known = (each: number | null): each is number => each !== null;

/** Values with their intervals, a second series as a band with its line, and what is normal as a dashed line. */
export function Graph({ dots, band, reference, at, tick, text, label }: GraphProps) {
  const [box, width] = useWidth();
  // an interval of one row reaches over everything: what is drawn is held to where values lie, and a little more
  const centre = [...dots.map((each) => each.value), ...band.map((each) => each.value), reference].filter(known);
  const ends = [...dots, ...band].flatMap((each) => [each.low, each.high]).filter(known);
  const [a, b] = [Math.min(...centre), Math.max(...centre)];
  const room = Math.max((b - a) * 0.6, Math.abs(b) * 0.04, 1e-9);
  const [low, high] = [Math.max(a - room, Math.min(a, ...ends)) - room * 0.08, Math.min(b + room, Math.max(b, ...ends)) + room * 0.08];
  const x = (value: number): number => LEFT + ((value - at[0]) / (at[1] - at[0] || 1)) * (width - LEFT - RIGHT);
  const y = (value: number): number => TOP + (1 - (Math.min(high, Math.max(low, value)) - low) / (high - low || 1)) * (H - TOP - BOTTOM);
  const drawn = band.filter((each) => each.value !== null);
  const edge = drawn.filter((each) => each.low !== null && each.high !== null);
  const area = [...edge.map((each) => `${x(each.at)},${y(each.high!)}`), ...edge.map((each) => `${x(each.at)},${y(each.low!)}`).reverse()].join(" ");
  const ticks = Math.max(2, Math.min(7, Math.floor((width - LEFT) / 110)));
  return (
    <div ref={box} class="graph">
      <svg width={width} height={H} role="img" aria-label={label}>
        {centre.length > 0 && nice(low, high).map((each) => <g key={each}><line class="grid-line" x1={LEFT} x2={width - RIGHT} y1={y(each)} y2={y(each)} /><text x={LEFT - 6} y={y(each) + 4} text-anchor="end">{text(each)}</text></g>)}
        {Array.from({ length: ticks }, (_, i) => at[0] + ((at[1] - at[0]) * i) / (ticks - 1)).map((each, i) => <text key={i} x={x(each)} y={H - 6} text-anchor={i === 0 ? "start" : i === ticks - 1 ? "end" : "middle"}>{tick(each)}</text>)}
        {edge.length > 1 && <polygon class="area" points={area} />}
        {drawn.length > 1 && <polyline class="guess" points={drawn.map((each) => `${x(each.at)},${y(each.value!)}`).join(" ")} />}
        {reference !== null && <line class="normal" x1={LEFT} x2={width - RIGHT} y1={y(reference)} y2={y(reference)} />}
        {dots.map((each, i) => each.value !== null && (
          <g key={i} class={each.bad ? "dot bad" : "dot"}>
            <title>{each.title}</title>
            {each.low !== null && each.high !== null && <line x1={x(each.at)} x2={x(each.at)} y1={y(each.low)} y2={y(each.high)} />}
            {each.bad ? <rect x={x(each.at) - 4} y={y(each.value) - 4} width="8" height="8" /> : <circle cx={x(each.at)} cy={y(each.value)} r="3.5" />}
          </g>
        ))}
      </svg>
    </div>
  );
}

const HIGH = 150, FOOT = 22;
const axis = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation: "compact" });

/** Shares of the reference and of now over bins of a number; the outer bins are open. The table below has the numbers. */
export function Histogram({ bars, edges, label }: { bars: Bar[]; edges: number[]; label: string }) {
  const [box, width] = useWidth();
  const most = Math.max(1e-9, ...bars.flatMap((each) => [each.reference, each.current]));
  const wide = (width - 2) / bars.length;
  const y = (share: number): number => (HIGH - FOOT) * (1 - share / most) + 2;
  const outline = (of: (each: Bar) => number): string => bars.map((each, i) => `${i ? "L" : "M"}${1 + i * wide},${y(of(each))} L${1 + (i + 1) * wide},${y(of(each))}`).join(" ");
  const every = Math.max(1, Math.ceil(62 / wide));
  return (
    <div ref={box} class="graph">
      <svg width={width} height={HIGH + 4} role="img" aria-label={label}>
        <path class="was-area" d={`${outline((each) => each.reference)} L${1 + bars.length * wide},${y(0)} L1,${y(0)} Z`} />
        <path class="now-area" d={`${outline((each) => each.current)} L${1 + bars.length * wide},${y(0)} L1,${y(0)} Z`} />
        <path class="now-line" d={outline((each) => each.current)} />
        <line class="floor" x1="0" x2={width} y1={y(0)} y2={y(0)} />
        {edges.map((edge, i) => i % every === 0 && i > 0 && i < edges.length - every / 2 && <text key={i} x={1 + (i + 1) * wide} y={HIGH} text-anchor="middle">{axis.format(edge)}</text>)}
        {bars.map((each, i) => <rect key={i} class="hit" x={1 + i * wide} y="0" width={wide} height={HIGH - FOOT}><title>{`${brief(each.label, 80)}: reference ${percent(each.reference)}, now ${percent(each.current)}`}</title></rect>)}
      </svg>
    </div>
  );
}

const percent = (share: number): string => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

/** Shares of the reference and of now, bin by bin. */
export function Bars({ bars, label }: { bars: Bar[]; label: string }) {
  const most = Math.max(1e-9, ...bars.flatMap((each) => [each.reference, each.current]));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table class="bars">
        <thead><tr><th scope="col">Value</th><th scope="col" class="wide">Share of rows</th><th scope="col" class="num">Reference</th><th scope="col" class="num">Now</th></tr></thead>
        <tbody>{bars.map((each, i) => (
          <tr key={i}>
            <th scope="row"><bdi title={each.label.length > 40 ? each.label : undefined}>{brief(each.label, 40)}</bdi></th>
            <td class="wide"><svg width="100%" height="16" aria-hidden="true"><rect class="was-bar" x="0" y="0" width={`${(100 * each.reference) / most}%`} height="7" /><rect class="now-bar" x="0" y="8" width={`${(100 * each.current) / most}%`} height="8" /></svg></td>
            <td class="num">{percent(each.reference)}</td><td class="num">{percent(each.current)}</td>
          </tr>
        ))}</tbody>
      </table>
    </div>
  );
}
