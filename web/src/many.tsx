// Several lines on one axis, told apart by dashes and words, with the numbers as a table.
import { useMemo, useState } from "preact/hooks";
import type uPlot from "uplot";
import { css, Dash, DASHES, Plot, single, xAxis, xScale, yAxis, type Now } from "./chart";
import { clock, day, inBase, scaleOf, utc } from "./format";
import { Said } from "./parts";

export interface ManyLine { name: string; time: number[]; value: (number | null)[] }
interface ManyProps { lines: ManyLine[]; unit: string; signal?: string; range: [number, number]; theme: string; title: string; zoom?: (from: number, to: number) => void }

const NONE: never[] = [];
const ROWS = 30;

export function Many({ lines, unit, signal = "", range, theme, title, zoom }: ManyProps) {
  const scale = useMemo(() => scaleOf(unit, signal), [unit, signal]);
  const times = lines[0]?.time ?? [];
  const data = useMemo(() => [times, ...lines.map((line) => line.value.map((each) => (each === null ? null : each * scale.factor)))], [lines, scale]);
  const [at, setAt] = useState<number | null>(null);
  const bare = scale.base === "count" ? { ...scale, suffix: "" } : scale;
  const make = useMemo(() => (width: number, now: Now): uPlot.Options => ({
    width, height: 168, padding: [10, 22, 0, 0],
    scales: { x: xScale(now), y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high ?? 0) > 0 ? high! * 1.08 : 1] } },
    axes: [xAxis(), yAxis((_, splits) => { const ref = Math.max(...splits.map(Math.abs)); return splits.map((each) => inBase(each, bare, ref)); }, 78)],
    series: [{}, ...lines.map((_, i): uPlot.Series => ({ stroke: () => css(`--line-${i % 6}`), width: 2, dash: DASHES[i % 6]!, points: single(7) }))],
  }), [lines.length, scale]);
  const some = lines.some((line) => line.value.some((each) => each !== null));
  if (!some) return <p class="quiet">Nothing was told of this.</p>;
  return (
    <div class="chart">
      <Plot make={make} data={data as (number | null)[][]} label={`${title}: ${lines.length} lines of ${times.length} values; a table of them follows`} theme={theme} zoom={zoom} readout={setAt} spans={NONE} marks={NONE} range={range} />
      <ul class="legend">
        {at !== null && times[at] !== undefined && <li title={utc(new Date(times[at]! * 1000))}>{clock(new Date(times[at]! * 1000))}</li>}
        {lines.map((line, i) => { const value = at === null ? null : data[i + 1]![at] ?? null; return <li key={i}><Dash index={i} /><Said text={line.name} most={40} />{value !== null && <b>{inBase(value, scale)}</b>}</li>; })}
      </ul>
      <Rows lines={lines} times={times} show={(value) => inBase(value * scale.factor, scale)} title={title} />
    </div>
  );
}

function Rows({ lines, times, show, title }: { lines: ManyLine[]; times: number[]; show: (value: number) => string; title: string }) {
  const [open, setOpen] = useState(false);
  const step = Math.max(1, Math.ceil(times.length / ROWS));
  const picked = open ? times.map((_, i) => i).filter((i) => (times.length - 1 - i) % step === 0).reverse() : [];
  return (
    <details class="as-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Show as a table<span class="sr"> of {title}</span></summary>
      <div class="scroll" tabIndex={0} role="region" aria-label={`Values of ${title}`}>
        <table>
          <thead><tr><th scope="col">Time</th>{lines.map((line, i) => <th key={i} scope="col" class="num"><Said text={line.name} most={40} /></th>)}</tr></thead>
          <tbody>{picked.map((i) => { const time = new Date(times[i]! * 1000); return <tr key={i}><td title={utc(time)}>{day(time)} {clock(time)}</td>{lines.map((line, k) => <td key={k} class="num">{line.value[i] === null ? "–" : show(line.value[i]!)}</td>)}</tr>; })}</tbody>
        </table>
      </div>
    </details>
  );
}
