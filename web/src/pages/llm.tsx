// Language models: tokens, cost, latency, errors, retrieval and feedback by model, prompt version, customer, service, region, user or session.
import { query } from "../api";
import { Pick, RangeChoice, useRange } from "../fields";
import { count, quantity, usd } from "../format";
import { useAsk } from "../live";
import { Many } from "../many";
import { A, Copy, Fault, Loading, Panel, Said, Time } from "../parts";
import { set, usePlace } from "../url";
import { Spend } from "./llm_spend";

interface Measures {
  calls: number; errors: number; error_ratio: number | null; input_tokens: number; output_tokens: number; cache_read_tokens: number; estimated: number;
  cost_usd: number | null; priced: number; p50_s: number | null; p95_s: number | null; ttft_p50_s: number | null; ttft_p95_s: number | null; near_limit: number; truncation_risk: number;
}
type Drawn = "calls" | "errors" | "input_tokens" | "output_tokens" | "cost_usd" | "p50_s" | "p95_s" | "ttft_p95_s";
interface Line extends Record<Drawn, (number | null)[]> { name: string; others: boolean; time: number[] }
interface Answer {
  from: number; to: number; by: string; step_s: number; totals: Measures | null; before: Measures | null; groups: (Measures & { name: string })[]; more: boolean;
  lines: Line[]; errors: { name: string; error_class: string; calls: number; last: string }[];
  retrieval: { name: string; calls: number; errors: number; counted: number; documents: number | null; empty: number; similarity: number | null; p50_s: number; p95_s: number; before: { documents: number | null; similarity: number | null; calls: number } | null }[];
  feedback: { name: string; of: string; answers: number; mean: number | null; before: number | null; negative: number | null }[];
  names: Record<string, string[]>;
}

const BY: Record<string, string> = { model: "model", prompt_version: "prompt version", customer: "customer", service: "service", provider: "provider", region: "region", user: "user", session: "session" };
const UNSEARCHED = new Set(["provider", "region", "user", "session"]); // traces aren't found by these
const DRAWN: [Drawn, string, string, string][] = [
  ["calls", "Calls", "{call}", ""], ["errors", "Failed calls", "{call}", ""], ["input_tokens", "Tokens in", "{token}", ""], ["output_tokens", "Tokens out", "{token}", ""],
  ["cost_usd", "Cost", "USD", ""], ["p95_s", "Latency, 95 % within", "s", ""], ["p50_s", "Latency, half within", "s", ""], ["ttft_p95_s", "First token, 95 % within", "s", ""],
];
const whole = (n: number): string => n.toLocaleString("en");
const s = (value: number | null): string => (value === null ? "–" : quantity(value, "s"));
const percent = (ratio: number | null): string => (ratio === null ? "–" : `${(100 * ratio).toFixed(ratio > 0 && ratio < 0.1 ? 1 : 0)} %`);
const three = (value: number | null, none: string): string => (value === null ? none : value.toPrecision(3));
const nameOf = (name: string, by: string): string => name || `(no ${BY[by]})`;

function change(now: number | null, before: number | null | undefined): string {
  if (now === null || before === null || before === undefined || before === 0) return "";
  const ratio = now / before;
  if (ratio > 0.95 && ratio < 1.05) return "as before";
  return ratio >= 2 || ratio <= 0.5 ? `${ratio.toPrecision(2)}× of before` : `${ratio > 1 ? "+" : "−"}${Math.abs(100 * (ratio - 1)).toFixed(0)} % to before`;
}

function Beside({ now, before, none }: { now: number | null; before: number | null | undefined; none: string }) {
  return <td class="num">{three(now, none)}{before !== null && before !== undefined && <span class="note"> {three(before, "")} before</span>}</td>;
}

export function Llm({ theme }: { theme: string }) {
  const { params } = usePlace();
  const { asked } = useRange("6h");
  const by = Object.hasOwn(BY, params.get("by") ?? "") ? params.get("by")! : "model";
  const filters = Object.fromEntries(Object.keys(BY).map((name) => [name, params.get(name) ?? undefined]));
  const answer = useAsk<Answer>(query("/api/llm", { by, ...filters, ...asked }), 30);
  const it = answer.data;
  const some = Object.keys(BY).some((name) => params.has(name));
  return (
    <main id="main">
      <h1 tabIndex={-1}>Language models</h1>
      <Panel title="Which calls" id="which" note={<RangeChoice usual="6h" />}>
        <div class="row choices"><span class="choice" role="group" aria-label="Group by">{Object.entries(BY).map(([key, name]) => <button type="button" key={key} class="btn small" aria-pressed={key === by} onClick={() => set({ by: key === "model" ? undefined : key })}>by {name}</button>)}</span></div>
        <div class="picks">{Object.entries(BY).map(([name, title]) => <Pick key={name} label={title[0]!.toUpperCase() + title.slice(1)} name={name} options={it?.names[name] ?? []} all="any" />)}</div>
      </Panel>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!it ? !answer.error && <Loading what="calls" /> : !it.totals?.calls ? (some || Object.values(it.names).some((each) => each.length) ? <Panel title="No call is like this" id="none"><p class="quiet">Choose a longer time, or ask for less.</p></Panel> : <First />) : <Body it={it} theme={theme} filters={filters} />}
    </main>
  );
}

function Body({ it, theme, filters }: { it: Answer; theme: string; filters: Record<string, string | undefined> }) {
  const range: [number, number] = [it.from, it.to];
  const zoom = (a: number, b: number): void => set({ from: a.toFixed(0), to: b.toFixed(0) });
  const lines = (measure: Drawn) => it.lines.map((line) => ({ name: line.others ? "all others" : nameOf(line.name, it.by), time: line.time, value: line[measure] }));
  return (
    <>
      <Totals now={it.totals!} before={it.before} />
      <Groups it={it} />
      <Spend filters={filters} theme={theme} />
      <Panel title="Over time" id="over-time" note={`by ${BY[it.by]}, in steps of ${quantity(it.step_s, "s")}; drag over a chart to zoom`}>
        <div class="multiples">{DRAWN.map(([measure, title, unit, signal]) => <div key={measure}><h3>{title}</h3><Many lines={lines(measure)} unit={unit} signal={signal} range={range} theme={theme} title={title} zoom={zoom} /></div>)}</div>
      </Panel>
      <div class="pair">
        <Errors it={it} />
        <Feedback it={it} />
      </div>
      <Retrieval it={it} />
    </>
  );
}

function Totals({ now, before }: { now: Measures; before: Measures | null }) {
  const each = (value: number): number => value / now.calls;
  const perCall = now.cost_usd === null ? null : now.cost_usd / now.priced;
  const perCallBefore = before?.cost_usd == null ? null : before.cost_usd / before.priced;
  return (
    <dl class="facts panel">
      <div><dt>Calls</dt><dd>{whole(now.calls)}<span class="note">{change(now.calls, before?.calls)}</span></dd></div>
      <div><dt>Failed</dt><dd><span class={now.errors ? "sev error" : ""}>{percent(now.error_ratio)}</span><span class="note">{count(now.errors, "call")}{before && `, ${percent(before.error_ratio)} before`}</span></dd></div>
      <div><dt>Tokens</dt><dd>{whole(now.input_tokens)} in, {whole(now.output_tokens)} out<span class="note">{whole(Math.round(each(now.input_tokens)))} in a call, {change(each(now.input_tokens), before && before.input_tokens / before.calls)}{now.cache_read_tokens > 0 && `; ${percent(now.cache_read_tokens / Math.max(1, now.input_tokens))} from a cache`}{now.estimated > 0 && `; of ${count(now.estimated, "call")} estimated`}</span></dd></div>
      <div><dt>Cost</dt><dd>{usd(now.cost_usd)}<span class="note">{now.cost_usd === null ? "no price is known: name it under `llm` in tocsin.yaml" : `${usd(perCall)} a call, ${change(perCall, perCallBefore)}${now.priced < now.calls ? `; ${whole(now.calls - now.priced)} calls have no price` : ""}`}</span></dd></div>
      <div><dt>Latency</dt><dd>{s(now.p50_s)}, 95 % within {s(now.p95_s)}<span class="note">{change(now.p95_s, before?.p95_s)}</span></dd></div>
      <div><dt>First token</dt><dd>{now.ttft_p50_s === null ? "not told" : `${s(now.ttft_p50_s)}, 95 % within ${s(now.ttft_p95_s)}`}<span class="note">{change(now.ttft_p95_s, before?.ttft_p95_s)}</span></dd></div>
      {(now.near_limit > 0 || now.truncation_risk > 0) && <div><dt>Context limit</dt><dd>{count(now.near_limit, "call")} near it<span class="note">{count(now.truncation_risk, "prompt")} may have been cut</span></dd></div>}
    </dl>
  );
}

function Groups({ it }: { it: Answer }) {
  const { params } = usePlace();
  const into = (name: string): string => query("/llm", { ...Object.fromEntries(params), [it.by]: name || undefined });
  const traces = (name: string): string => query("/traces", { [it.by]: name || undefined, from: it.from.toFixed(0), to: it.to.toFixed(0), order: "slowest" });
  const searchable = !UNSEARCHED.has(it.by);
  return (
    <Panel title={`By ${BY[it.by]}`} id="groups" note={it.more ? "the 50 with most calls" : undefined}>
      <div class="scroll" tabIndex={0} role="region" aria-label={`Table of calls by ${BY[it.by]}`}>
        <table class="wide">
          <thead><tr><th scope="col">{BY[it.by]![0]!.toUpperCase() + BY[it.by]!.slice(1)}</th><th scope="col" class="num">Calls</th><th scope="col" class="num">Failed</th><th scope="col" class="num">Tokens in, out a call</th><th scope="col" class="num">Cost</th><th scope="col" class="num">Cost a call</th><th scope="col" class="num">Latency 50 %, 95 %</th><th scope="col" class="num">First token 50 %, 95 %</th>{searchable && <th scope="col">Traces</th>}</tr></thead>
          <tbody>{it.groups.map((row) => (
            <tr key={row.name}>
              <th scope="row">{row.name ? <A to={into(row.name)}><Said text={row.name} most={80} /></A> : nameOf(row.name, it.by)}</th>
              <td class="num">{whole(row.calls)}</td><td class="num">{percent(row.error_ratio)}</td><td class="num">{whole(Math.round(row.input_tokens / row.calls))}, {whole(Math.round(row.output_tokens / row.calls))}</td>
              <td class="num">{usd(row.cost_usd)}</td><td class="num">{row.cost_usd === null ? "–" : usd(row.cost_usd / row.priced)}</td><td class="num">{s(row.p50_s)}, {s(row.p95_s)}</td><td class="num">{s(row.ttft_p50_s)}, {s(row.ttft_p95_s)}</td>
              {searchable && <td>{row.name ? <A to={traces(row.name)}>slowest<span class="sr"> traces of {row.name.slice(0, 60)}</span></A> : "–"}</td>}
            </tr>
          ))}</tbody>
        </table>
      </div>
    </Panel>
  );
}

function Errors({ it }: { it: Answer }) {
  return (
    <Panel title="Errors by class" id="errors">
      {it.errors.length === 0 ? <p class="quiet">No call failed.</p> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of errors">
          <table class="few">
            <thead><tr><th scope="col">Class</th><th scope="col">{BY[it.by]![0]!.toUpperCase() + BY[it.by]!.slice(1)}</th><th scope="col" class="num">Calls</th><th scope="col">Last</th></tr></thead>
            <tbody>{it.errors.map((row, i) => <tr key={i}><th scope="row"><A to={query("/traces", { error_class: row.error_class, ...(UNSEARCHED.has(it.by) ? {} : { [it.by]: row.name || undefined }), from: it.from.toFixed(0), to: it.to.toFixed(0) })}><Said text={row.error_class.replaceAll("_", " ")} /></A></th><td class="text"><Said text={nameOf(row.name, it.by)} most={60} /></td><td class="num">{whole(row.calls)}</td><td><Time at={row.last} /></td></tr>)}</tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Feedback({ it }: { it: Answer }) {
  return (
    <Panel title="Feedback" id="feedback" note="what people and judges said of answers">
      {it.feedback.length === 0 ? <p class="quiet">None came. Send it to <code>/v1/records</code> with the id of the response as <code>prediction_id</code>, or as evaluations of OpenTelemetry.</p> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of feedback">
          <table class="few">
            <thead><tr><th scope="col">What</th><th scope="col">{BY[it.by]![0]!.toUpperCase() + BY[it.by]!.slice(1)}</th><th scope="col" class="num">Said</th><th scope="col" class="num">Mean</th><th scope="col" class="num">Bad votes</th></tr></thead>
            <tbody>{it.feedback.map((row, i) => <tr key={i}><th scope="row"><Said text={row.of} most={60} /></th><td class="text"><Said text={nameOf(row.name, it.by)} most={60} /></td><td class="num">{whole(row.answers)}</td><Beside now={row.mean} before={row.before} none="–" /><td class="num">{row.negative === null ? "–" : percent(row.negative / row.answers)}</td></tr>)}</tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Retrieval({ it }: { it: Answer }) {
  return (
    <Panel title="Retrieval" id="retrieval" note={`by ${BY[it.by]}, of the trace's call that said most`}>
      {it.retrieval.length === 0 ? <p class="quiet">No span of a retrieval came in this time.</p> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of retrievals">
          <table>
            <thead><tr><th scope="col">{BY[it.by]![0]!.toUpperCase() + BY[it.by]!.slice(1)}</th><th scope="col" class="num">Retrievals</th><th scope="col" class="num">Failed</th><th scope="col" class="num">Latency 50 %, 95 %</th><th scope="col" class="num">Documents</th><th scope="col" class="num">Found nothing</th><th scope="col" class="num">Similarity of the best</th></tr></thead>
            <tbody>{it.retrieval.map((row) => <tr key={row.name}><th scope="row"><Said text={nameOf(row.name, it.by)} most={60} /></th><td class="num">{whole(row.calls)}</td><td class="num">{percent(row.errors / row.calls)}</td><td class="num">{s(row.p50_s)}, {s(row.p95_s)}</td><Beside now={row.documents} before={row.before?.documents} none="not told" /><td class="num">{row.counted ? percent(row.empty / row.counted) : "–"}</td><Beside now={row.similarity} before={row.before?.similarity} none="not told" /></tr>)}</tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function First() {
  const otlp = `export OTEL_EXPORTER_OTLP_ENDPOINT=${location.origin}\nexport OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`;
  return (
    <Panel title="Send calls of models" id="send-calls" note="none came in this time">
      <h3>From any program with an instrumentor of language models</h3>
      <Copy text={otlp} label="environment that sends calls of models" />
      <p class="note">Spans by the names of OpenTelemetry GenAI, OpenLIT, Traceloop and OpenInference are read alike. Prompts and completions are taken out before anything is written.</p>
    </Panel>
  );
}
