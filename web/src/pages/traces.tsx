// Traces: find them by what one of their spans was like.
import { query } from "../api";
import { Pick, NumberField, RangeChoice, useRange } from "../fields";
import { count, quantity } from "../format";
import { useAsk } from "../live";
import { A, Copy, Fault, Loading, Panel, Said, Time } from "../parts";
import type { Names, TraceList, TraceRow } from "../traces";
import { go, set, usePlace } from "../url";
import { One } from "./trace";

const ASKED = ["service", "operation", "status", "model", "prompt_version", "error_class", "customer", "min_s", "max_s"] as const;
const ORDERS: Record<string, string> = { newest: "newest first", slowest: "slowest first", costliest: "costliest first" };
const MOST = 50;

export const usd = (value: number | null): string => (value === null ? "–" : value === 0 ? "$0" : value < 0.01 ? `$${value.toPrecision(2)}` : `$${value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: value < 1 ? 4 : 2 })}`);
export const took = (seconds: number): string => quantity(seconds, "s");

export function Traces() {
  const { path } = usePlace();
  const one = /^\/traces\/([0-9a-zA-Z]+)$/.exec(path);
  return one ? <One key={one[1]} id={one[1]!} /> : <All />;
}

function All() {
  const { params } = usePlace();
  const { asked } = useRange("1h");
  const order = Object.hasOwn(ORDERS, params.get("order") ?? "") ? params.get("order")! : "newest";
  const filters = Object.fromEntries(ASKED.map((name) => [name, params.get(name) ?? undefined]));
  const answer = useAsk<TraceList>(query("/api/traces", { ...filters, ...asked, order, limit: MOST }), 20);
  const names = useAsk<Names>(query("/api/traces/names", asked), 60).data;
  const some = ASKED.some((name) => params.has(name));
  const it = answer.data;
  return (
    <main id="main">
      <h1 tabIndex={-1}>Traces</h1>
      <Panel title="Which traces" id="which" note={<RangeChoice usual="1h" />}>
        <div class="picks">
          <Pick label="Service" name="service" options={names?.services ?? []} all="any" />
          <Pick label="Operation" name="operation" options={names?.operations ?? []} all="any" />
          <Pick label="Status" name="status" options={["error", "ok", "unset"]} all="any" />
          <Pick label="Error class" name="error_class" options={names?.error_classes ?? []} all="any" />
          <Pick label="Model" name="model" options={names?.models ?? []} all="any" />
          <Pick label="Prompt version" name="prompt_version" options={names?.prompt_versions ?? []} all="any" />
          <Pick label="Customer" name="customer" options={names?.customers ?? []} all="any" />
          <NumberField label="At least" name="min_s" unit="seconds" />
          <NumberField label="At most" name="max_s" unit="seconds" />
        </div>
        <form class="row find-trace" onSubmit={(event) => { event.preventDefault(); const id = String(new FormData(event.currentTarget).get("id")).trim(); if (/^[0-9a-zA-Z]+$/.test(id)) go(`/traces/${id}`); }}>
          <label class="pick">Trace id<input type="search" name="id" autoComplete="off" spellcheck={false} placeholder="32 hexadecimal digits" pattern="[0-9a-fA-F]{32}" /></label>
          <button type="submit" class="btn">Open</button>
        </form>
        <p class="note">A trace is listed when one of its spans is like all of this. {some && <button type="button" class="btn small" onClick={() => set(Object.fromEntries(ASKED.map((name) => [name, undefined])))}>ask for nothing</button>}</p>
      </Panel>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!it ? !answer.error && <Loading what="traces" /> : it.traces.length === 0 ? (some || (names?.services?.length ?? 0) > 0 ? <Panel title="No trace is like this" id="none"><p class="quiet">Choose a longer time, or ask for less.</p></Panel> : <First />) : (
        <Panel title={it.full ? `The first ${MOST} of them` : count(it.traces.length, "trace")} id="found" note={<span class="choice" role="group" aria-label="Order">{Object.entries(ORDERS).map(([key, name]) => <button type="button" key={key} class="btn small" aria-pressed={key === order} onClick={() => set({ order: key === "newest" ? undefined : key })}>{name}</button>)}</span>}>
          <List rows={it.traces} />
        </Panel>
      )}
    </main>
  );
}

function List({ rows }: { rows: TraceRow[] }) {
  const most = Math.max(1e-9, ...rows.map((row) => row.duration_s));
  return (
    <ul class="found">
      {rows.map((row) => (
        <li key={row.trace_id}>
          <A to={`/traces/${row.trace_id}`} class="card" data-nav={row.trace_id}>
            <span class="line"><b><Said text={row.root.name || "(no name)"} most={100} /></b><span class="note"><Said text={row.root.service || "(no service)"} most={60} /></span>{row.errors > 0 && <span class="tag warn">{count(row.errors, "error")}</span>}{row.error_classes.map((each) => <span key={each} class="tag warn">{each.replaceAll("_", " ")}</span>)}</span>
            <span class="line lasted"><b class="num">{took(row.duration_s)}</b><svg class="length" width="100%" height="8" aria-hidden="true"><rect width={`${(100 * row.duration_s) / most}%`} height="8" rx="2" /></svg></span>
            <span class="note"><Time at={row.start} seconds /> · {count(row.spans, "span")} in {count(row.services, "service")}{row.matched.name !== row.root.name && <> · matched <Said text={row.matched.name} most={60} /> {took(row.matched.duration_s)}</>}{row.calls > 0 && <> · {count(row.calls, "model call")}{row.models.length > 0 && <> of <Said text={row.models.join(", ")} most={80} /></>} · {(row.input_tokens ?? 0).toLocaleString("en")} in, {(row.output_tokens ?? 0).toLocaleString("en")} out{row.cost_usd !== null && ` · ${usd(row.cost_usd)}`}</>}</span>
          </A>
        </li>
      ))}
    </ul>
  );
}

function First() {
  const otlp = `export OTEL_EXPORTER_OTLP_ENDPOINT=${location.origin}\nexport OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`;
  return (
    <Panel title="Send spans" id="send-spans" note="none came in this time">
      <h3>From a program with OpenTelemetry, or with an instrumentor of a language model</h3>
      <Copy text={otlp} label="environment that sends spans" />
      <p class="note">Prompts and completions are taken out before anything is written, unless <code>redaction: {"{"}keep_content: true{"}"}</code> says otherwise. How long spans are kept says <code>limits.retention.spans</code>.</p>
    </Panel>
  );
}
