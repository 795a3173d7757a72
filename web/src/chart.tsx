// Charts: one signal with its expected band, and many signals on one axis in widths of their bands.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Line } from "./api";
import { between, clock, day, inBase, scaleOf, utc, type Scale } from "./format";

export interface Mark { at: number; number: number }
export interface Span { from: number; to: number }
type Columns = (number | null)[][];
/** What is drawn but must not rebuild the plot: it changes with every answer of the server. */
export interface Shown { spans: Span[]; marks: Mark[]; range: [number, number] | undefined }
export interface Now { readonly current: Shown }

export const xScale = (now: Now): uPlot.Scale => ({ time: true, range: (_, low, high) => now.current.range ?? [low, high] });

export const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const SYNC = "time";
const FONT = '12px system-ui, "DejaVu Sans", sans-serif';
const BINARY = Array.from({ length: 60 }, (_, i) => 2 ** i);

function timeTicks(_: uPlot, splits: number[], __: number, ___: number, incr: number): string[] {
  let before = "";
  return splits.map((split) => {
    const at = new Date(split * 1000);
    const date = day(at);
    const text = incr >= 86400 ? date : clock(at, incr < 60);
    const changed = incr < 86400 && date !== before;
    before = date;
    return changed ? `${text}\n${date}` : text;
  });
}

export const xAxis = (): uPlot.Axis => ({
  stroke: () => css("--mute"), font: FONT, space: 72, size: 42, gap: 4, values: timeTicks as uPlot.Axis.DynamicValues,
  grid: { stroke: () => css("--line"), width: 1 }, ticks: { stroke: () => css("--line"), width: 1, size: 4 },
});

export const yAxis = (values: (u: uPlot, splits: number[]) => string[], size: number): uPlot.Axis => ({
  stroke: () => css("--mute"), font: FONT, gap: 6, size, space: 34, values: values as uPlot.Axis.DynamicValues,
  grid: { stroke: () => css("--line"), width: 1 }, ticks: { show: false },
});

/** Places of values that have none beside them: no line leads to them, so they are drawn as marks. */
function alone(values: ArrayLike<number | null | undefined>): number[] {
  const told = Array.from({ length: values.length }, (_, i) => i).filter((i) => values[i] !== undefined);
  return told.filter((i, k) => values[i] !== null && (values[told[k - 1] ?? -1] ?? null) === null && (values[told[k + 1] ?? -1] ?? null) === null);
}
export const single = (size: number): uPlot.Series.Points => ({ show: true, size, filter: (u, i) => alone(u.data[i]!) });

/** Spans that are out of line behind the lines, changes as numbered flags before them. */
function signs(now: Now): uPlot.Plugin {
  const k = (): number => devicePixelRatio;
  return {
    hooks: {
      drawClear: [(u) => {
        const c = u.ctx;
        c.save();
        c.fillStyle = css("--bad-wash");
        for (const each of now.current.spans) {
          const x0 = Math.max(u.bbox.left, u.valToPos(each.from, "x", true));
          const x1 = Math.min(u.bbox.left + u.bbox.width, u.valToPos(each.to, "x", true));
          if (x1 > u.bbox.left && x0 < u.bbox.left + u.bbox.width) c.fillRect(x0, u.bbox.top, Math.max(2 * k(), x1 - x0), u.bbox.height);
        }
        c.restore();
      }],
      draw: [(u) => {
        const c = u.ctx;
        c.save();
        c.font = `600 ${10.5 * k()}px system-ui, "DejaVu Sans", sans-serif`;
        c.textAlign = "center";
        c.textBaseline = "middle";
        let row = 0, before = -Infinity;
        for (const mark of now.current.marks) {
          const x = u.valToPos(mark.at, "x", true);
          if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
          c.strokeStyle = c.fillStyle = css("--mark");
          c.lineWidth = k();
          c.setLineDash([4 * k(), 3 * k()]);
          c.beginPath(); c.moveTo(x, u.bbox.top); c.lineTo(x, u.bbox.top + u.bbox.height); c.stroke();
          c.setLineDash([]);
          row = x - before < 17 * k() ? (row + 1) % 5 : 0;
          before = x;
          const y = u.bbox.top + (8 + 17 * row) * k();
          c.beginPath(); c.arc(x, y, 8 * k(), 0, 7); c.fill();
          c.fillStyle = css("--panel");
          c.fillText(String(mark.number), x, y + 0.5 * k());
        }
        c.restore();
      }],
    },
  };
}

interface PlotProps extends Shown { make: (width: number, now: Now) => uPlot.Options; data: Columns; label: string; theme: string; zoom: ((from: number, to: number) => void) | undefined; readout: (at: number | null) => void }

export function Plot({ make, data, label, theme, zoom, readout, spans, marks, range }: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const held = useRef({ zoom, readout });
  held.current = { zoom, readout };
  const now = useRef<Shown>({ spans, marks, range });
  now.current = { spans, marks, range };
  useEffect(() => {
    const el = box.current!;
    const options = make(el.clientWidth || 600, now);
    options.cursor = { sync: { key: SYNC }, points: { size: 7 }, drag: { x: Boolean(zoom), y: false, setScale: false }, focus: { prox: 24 } };
    options.legend = { show: false };
    options.hooks = {
      setCursor: [(u) => held.current.readout(u.cursor.idx ?? null)],
      setSelect: [(u) => {
        if (u.select.width < 4) return;
        held.current.zoom?.(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
    };
    const made = new uPlot(options, data as uPlot.AlignedData, el);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: el.clientWidth, height: options.height }));
    watch.observe(el);
    return () => { watch.disconnect(); made.destroy(); };
  }, [make, data.length, Boolean(zoom)]);
  useEffect(() => plot.current?.setData(data as uPlot.AlignedData), [data, range?.[0], range?.[1]]);
  useEffect(() => plot.current?.redraw(false, true), [theme, spans, marks]);
  return <div ref={box} class="plot" role="img" aria-label={label} />;
}

const outside = (time: number, spans: Span[]): boolean => spans.some((each) => time >= each.from && time <= each.to);

function columnsOf(line: Line, scale: Scale, spans: Span[]): Columns {
  const by = (value: number | null): number | null => (value === null ? null : value * scale.factor);
  const empty = line.time.map(() => null);
  const value = line.value.map(by);
  const out = value.map((each, i) => (outside(line.time[i]!, spans) ? each : null));
  return [line.time, line.upper.length ? line.upper.map(by) : empty, line.lower.length ? line.lower.map(by) : empty, value, out];
}

const NO_MARKS: Mark[] = [];
interface ChartProps { line: Line; marks?: Mark[]; height?: number; range?: [number, number]; theme: string; zoom?: (from: number, to: number) => void; title: string }

/** One signal: what was observed, what was expected, when it was out of line. */
export function Chart({ line, marks = NO_MARKS, height = 176, range, theme, zoom, title }: ChartProps) {
  const scale = useMemo(() => scaleOf(line.unit, line.signal), [line.unit, line.signal]);
  const spans = useMemo(() => (line.findings ?? []).map(([from, to]) => ({ from, to })), [line]);
  const data = useMemo(() => columnsOf(line, scale, spans), [line, scale, spans]);
  const [at, setAt] = useState<number | null>(null);
  const make = useMemo(() => (width: number, now: Now): uPlot.Options => {
    const stroke = (name: string) => () => css(name);
    const bare = scale.base === "count" ? { ...scale, suffix: "" } : scale;
    const ticks = (_: uPlot, splits: number[]): string[] => {
      const ref = Math.max(...splits.map(Math.abs));
      return splits.map((split) => inBase(split, bare, ref));
    };
    const axis = yAxis(ticks, 78);
    if (scale.base === "By") axis.incrs = BINARY;
    return {
      width, height, padding: [14, 22, 0, 0], plugins: [signs(now)],
      scales: { x: xScale(now) },
      axes: [xAxis(), axis],
      series: [
        {},
        { stroke: stroke("--band-edge"), width: 1, points: { show: false } },
        { stroke: stroke("--band-edge"), width: 1, points: { show: false } },
        { stroke: stroke("--accent"), width: 1.5, points: single(7) },
        { stroke: stroke("--bad"), width: 2.5, points: single(8) },
      ],
      bands: [{ series: [1, 2], fill: stroke("--band") }],
    };
  }, [height, scale]);
  const last = useMemo(() => line.value.reduce<number>((found, value, i) => (value === null ? found : i), -1), [line]);
  const shown = at === null || at >= line.time.length ? last : at;
  const label = `${title}: ${line.time.length} values${spans.length ? `, out of line in ${spans.length} span${spans.length > 1 ? "s" : ""}` : ""}; a table of them follows`;
  return (
    <div class="chart">
      <p class="readout" aria-hidden="true">{shown >= 0 && shown < line.time.length ? <Readout data={data} at={shown} scale={scale} spans={spans} /> : "no values in this span of time"}</p>
      <Plot make={make} data={data} label={label} theme={theme} zoom={zoom} readout={setAt} spans={spans} marks={marks} range={range} />
      <Table data={data} scale={scale} title={title} />
    </div>
  );
}

function bandText(lower: number | null, upper: number | null, scale: Scale): string {
  if (lower !== null && upper !== null) return between(lower, upper, scale);
  if (upper !== null) return `at most ${inBase(upper, scale)}`;
  return lower !== null ? `at least ${inBase(lower, scale)}` : "";
}

function Readout({ data, at, scale, spans }: { data: Columns; at: number; scale: Scale; spans: Span[] }) {
  const time = new Date(data[0]![at]! * 1000);
  const value = data[3]![at] ?? null;
  const band = bandText(data[2]![at] ?? null, data[1]![at] ?? null, scale);
  const out = outside(data[0]![at]!, spans);
  return (
    <>
      <span title={utc(time)}>{clock(time, true)}</span>
      <span><i class={out ? "key out" : "key observed"} />{out ? "out of line" : "observed"} <b>{value === null ? "no value" : inBase(value, scale)}</b></span>
      {band && <span><i class="key band" />expected <b>{band}</b></span>}
    </>
  );
}

const ROWS = 60;

/** The same numbers as a table, for readers who don't see the chart. */
function Table({ data, scale, title }: { data: Columns; scale: Scale; title: string }) {
  const [open, setOpen] = useState(false);
  const times = data[0]!;
  const step = Math.max(1, Math.ceil(times.length / ROWS));
  const picked = open ? times.map((_, i) => i).filter((i) => (times.length - 1 - i) % step === 0).reverse() : [];
  return (
    <details class="as-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Show as a table<span class="sr"> of {title}</span></summary>
      <div class="scroll" tabIndex={0} role="region" aria-label={`Values of ${title}`}>
        <table>
          <thead><tr><th scope="col">Time</th><th scope="col" class="num">Observed</th><th scope="col">Expected</th></tr></thead>
          <tbody>
            {picked.map((i) => {
              const value = data[3]![i] ?? null;
              const time = new Date(times[i]! * 1000);
              return <tr key={i}><td title={utc(time)}>{day(time)} {clock(time, true)}</td><td class="num">{value === null ? "no value" : inBase(value, scale)}</td><td>{bandText(data[2]![i] ?? null, data[1]![i] ?? null, scale) || "–"}</td></tr>;
            })}
          </tbody>
        </table>
      </div>
    </details>
  );
}

const NONE: Span[] = [];
export const DASHES: number[][] = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [14, 4]];
const STEPS = [-1000, -300, -100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100, 300, 1000];

/** How far out of its band a value is: 0 the middle, 1 the edge. */
export function distance(value: number | null, lower: number | null, upper: number | null): number | null {
  if (value === null) return null;
  let found: number | null = null;
  if (lower !== null && upper !== null) found = (value - (lower + upper) / 2) / Math.max((upper - lower) / 2, Math.abs(upper) * 1e-6, 1e-12);
  else if (upper !== null) found = 1 + (value - upper) / Math.max(Math.abs(upper), 1e-12);
  else if (lower !== null) found = -1 + (value - lower) / Math.max(Math.abs(lower), 1e-12);
  return found === null ? null : Math.max(-1000, Math.min(1000, found));
}

function aligned(lines: Line[]): Columns {
  const times = [...new Set(lines.flatMap((line) => line.time))].sort((a, b) => a - b);
  const place = new Map(times.map((time, i) => [time, i]));
  const columns = lines.map((line) => {
    const column: (number | null | undefined)[] = new Array(times.length).fill(undefined);
    line.time.forEach((time, i) => { column[place.get(time)!] = distance(line.value[i] ?? null, line.lower[i] ?? null, line.upper[i] ?? null); });
    return column as (number | null)[];
  });
  return [times, ...columns];
}

interface OverlayProps { lines: Line[]; names: string[]; marks: Mark[]; range: [number, number]; theme: string; zoom: ((from: number, to: number) => void) | undefined }

/** All signals of an incident on one axis, each in widths of its own band: shows what moved first. */
export function Overlay({ lines, names, marks, range, theme, zoom }: OverlayProps) {
  const data = useMemo(() => aligned(lines), [lines]);
  const [at, setAt] = useState<number | null>(null);
  const make = useMemo(() => (width: number, now: Now): uPlot.Options => ({
    width, height: 240, padding: [14, 22, 0, 0], plugins: [signs(now), middle()],
    scales: { x: xScale(now), y: { distr: 4, asinh: 1, range: (_, low, high) => [Math.min(-2, low ?? 0) * 1.2, Math.max(3, high ?? 0) * 1.2] } },
    axes: [xAxis(), { ...yAxis((_, splits) => splits.map((each) => (each === 0 ? "0" : `${each > 0 ? "+" : "−"}${Math.abs(each)}×`)), 56), splits: (u) => STEPS.filter((each) => each >= u.scales["y"]!.min! && each <= u.scales["y"]!.max!), filter: (_, splits) => splits }],
    series: [{}, ...lines.map((_, i): uPlot.Series => ({ stroke: () => css(`--line-${i % 6}`), width: 2, dash: DASHES[i % 6]!, points: single(7), spanGaps: false }))],
  }), [lines.length]);
  return (
    <div class="chart">
      <Plot make={make} data={data} label={`How far ${names.length} signals are from what is expected, each in half widths of its band; the charts below show each alone`} theme={theme} zoom={zoom} readout={setAt} spans={NONE} marks={marks} range={range} />
      <ul class="legend">
        {names.map((name, i) => {
          const value = at === null ? undefined : data[i + 1]![at];
          return <li key={i}><Dash index={i} /><span>{name}</span>{value !== undefined && value !== null && <b>{value.toFixed(1)}×</b>}</li>;
        })}
      </ul>
    </div>
  );
}

export function Dash({ index }: { index: number }) {
  return <svg width="28" height="10" aria-hidden="true" class={`dash line-${index % 6}`}><line x1="1" y1="5" x2="27" y2="5" stroke-width="2.5" stroke-dasharray={DASHES[index % 6]!.join(" ")} /></svg>;
}

function middle(): uPlot.Plugin {
  return { hooks: { drawClear: [(u) => {
    const y0 = u.valToPos(1, "y", true), y1 = u.valToPos(-1, "y", true);
    u.ctx.save();
    u.ctx.fillStyle = css("--band");
    u.ctx.fillRect(u.bbox.left, y0, u.bbox.width, y1 - y0);
    u.ctx.restore();
  }] } };
}
