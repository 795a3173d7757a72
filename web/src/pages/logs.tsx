// Logs: what is said and how often, and the lines themselves.
import { query } from "../api";
import { Asked, Pick, RangeChoice, useRange } from "../fields";
import { atMost, count } from "../format";
import { useAsk } from "../live";
import { A, Copy, Fault, Loading, Panel, Said, Time } from "../parts";
import { set, usePlace } from "../url";

interface Template { service: string; template: string; text: string; records: number; before: number; errors: number; last_time: string | null; sample: string; alike: number }
interface Templates { from: number; to: number; by: string; fault: string; templates: Template[] }
interface LogLine { time: string; severity: string; level: number; body: string; service: string; trace_id: string; template: string; template_id: string; labels: Record<string, string> }
interface LogLines { from: number; to: number; logs: LogLine[] }

const ASKED = ["service", "severity", "text", "template", "trace_id"] as const;
const LEVELS = ["debug", "info", "warn", "error", "fatal"];
const MOST_TEMPLATES = 200, MOST_LINES = 200;

export function Logs() {
  const { params } = usePlace();
  const { asked } = useRange("1h");
  const wanted = Object.fromEntries(ASKED.map((name) => [name, params.get(name) ?? undefined]));
  const said = useAsk<Templates>(query("/api/log_templates", { ...asked, service: wanted["service"], text: wanted["text"], limit: MOST_TEMPLATES }), 20);
  const all = useAsk<Templates>(wanted["service"] || wanted["text"] ? query("/api/log_templates", { ...asked, limit: 1000 }) : null, 120);
  const lines = useAsk<LogLines>(query("/api/logs", { ...asked, ...wanted, limit: MOST_LINES }), 10);
  const services = [...new Set((all.data ?? said.data)?.templates.map((row) => row.service).filter(Boolean) ?? [])].sort();
  const some = ASKED.some((name) => params.has(name));
  const empty = !some && said.data?.templates.length === 0;
  const picked = wanted["template"] && said.data?.templates.find((row) => row.template === wanted["template"] || row.text === wanted["template"]);
  return (
    <main id="main">
      <h1 tabIndex={-1}>Logs</h1>
      <Panel title="Which lines" id="which" note={<RangeChoice usual="1h" />}>
        <div class="picks">
          <Pick label="Service" name="service" options={services} all="any" />
          <Pick label="Severity, or worse" name="severity" options={LEVELS} all="any" />
          <Asked label="Text" name="text" hint="a part of the line" />
          <Asked label="Trace id" name="trace_id" hint="32 hexadecimal digits" pattern="[0-9a-fA-F]{32}" />
        </div>
        {wanted["template"] && <p class="filter">lines like <code><Said text={picked ? picked.text : wanted["template"]} most={200} /></code> <button type="button" class="btn small" onClick={() => set({ template: undefined })}>all lines</button></p>}
        {some && <p class="note"><button type="button" class="btn small" onClick={() => set(Object.fromEntries(ASKED.map((name) => [name, undefined])))}>ask for nothing</button></p>}
      </Panel>
      {empty ? <First /> : (
        <>
          <Panel title="What is said" id="said" note={said.data && `${atMost(said.data.templates.length, MOST_TEMPLATES, "template")}; <*> stands for what varies`}>
            {said.error && <Fault error={said.error} again={said.again} />}
            {!said.data ? !said.error && <Loading what="templates" /> : said.data.templates.length === 0 ? <p class="quiet">No line of this time is like that.</p> : <><p><button type="button" class="btn small" aria-pressed={params.has("alike")} onClick={() => set({ alike: params.has("alike") ? undefined : "1" })}>one row for templates that say nearly the same</button> <span class="note">by <Said text={said.data.by} most={100} />{said.data.fault && <>, not by the model: <Said text={said.data.fault} most={400} /></>}</span></p><Table rows={params.has("alike") ? together(said.data.templates) : said.data.templates} chosen={wanted["template"] ?? ""} /></>}
          </Panel>
          <Panel title="Lines" id="lines" note={lines.data && `${lines.data.logs.length >= MOST_LINES ? `the last ${MOST_LINES}` : count(lines.data.logs.length, "line")}, newest first`}>
            {lines.error && <Fault error={lines.error} again={lines.again} />}
            {!lines.data ? !lines.error && <Loading what="lines" /> : lines.data.logs.length === 0 ? <p class="quiet">No line is like this. Choose a longer time, or ask for less.</p> : <Lines rows={lines.data.logs} />}
          </Panel>
        </>
      )}
    </main>
  );
}

/** How often it comes now beside as long a time before. */
function change(row: Template): string {
  if (row.before === 0) return "new";
  if (row.records === 0) return "gone";
  const times = row.records / row.before;
  return times >= 1.5 || times <= 0.67 ? `${times >= 10 ? Math.round(times) : times.toPrecision(2)}×` : "as before";
}

interface Row extends Template { more?: number }

/** Templates that say nearly the same as one row, under the one that comes first, with their counts together. */
function together(rows: Template[]): Row[] {
  const found = new Map<number, Row>();
  for (const row of rows) {
    const first = found.get(row.alike);
    if (!first) found.set(row.alike, { ...row, more: 0 });
    else found.set(row.alike, { ...first, more: (first.more ?? 0) + 1, records: first.records + row.records, before: first.before + row.before, errors: first.errors + row.errors, last_time: (row.last_time ?? "") > (first.last_time ?? "") ? row.last_time : first.last_time });
  }
  return [...found.values()];
}

function Table({ rows, chosen }: { rows: Row[]; chosen: string }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Table of templates">
      <table>
        <thead><tr><th scope="col">Template</th><th scope="col" class="num">Lines</th><th scope="col" class="num">Before</th><th scope="col">Change</th><th scope="col" class="num">Errors</th><th scope="col">Service</th><th scope="col">Last</th></tr></thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.service} ${row.template}`} aria-current={chosen !== "" && (row.template === chosen || row.text === chosen) ? "true" : undefined}>
              <th scope="row" class="mono">{row.template ? <A to={query("/logs", { ...Object.fromEntries(new URLSearchParams(location.search)), template: row.template, service: row.service || undefined })}><Said text={row.text} most={240} /></A> : <Said text={row.sample} most={240} />}{row.more ? <span class="note">and {count(row.more, "template")} alike</span> : null}</th>
              <td class="num">{row.records.toLocaleString("en")}</td>
              <td class="num">{row.before.toLocaleString("en")}</td>
              <td class="nowrap">{change(row)}</td>
              <td class="num">{row.errors ? row.errors.toLocaleString("en") : "–"}</td>
              <td><Said text={row.service || "–"} most={60} /></td>
              <td class="nowrap"><Time at={row.last_time} seconds /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Lines({ rows }: { rows: LogLine[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Table of lines">
      <table>
        <thead><tr><th scope="col">Time</th><th scope="col">Line</th><th scope="col">Severity</th><th scope="col">Service</th><th scope="col">Trace</th></tr></thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              <th scope="row" class="nowrap"><Time at={row.time} seconds /></th>
              <td class="mono"><Said text={row.body} most={500} /></td>
              <td>{row.level >= 17 ? <span class="tag warn"><Said text={row.severity || "error"} most={20} /></span> : <Said text={row.severity || "–"} most={20} />}</td>
              <td><Said text={row.service || "–"} most={60} /></td>
              <td>{row.trace_id ? <A to={`/traces/${row.trace_id}`} title={row.trace_id}>{row.trace_id.slice(0, 8)}</A> : "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function First() {
  const otlp = `export OTEL_EXPORTER_OTLP_ENDPOINT=${location.origin}\nexport OTEL_LOGS_EXPORTER=otlp`;
  const file = "sources:\n  - {name: api-log, type: file, path: /var/log/api.log, resource: {service.name: api}}";
  return (
    <Panel title="Send logs" id="send-logs" note="none came in this time">
      <h3>From a program with OpenTelemetry</h3>
      <Copy text={otlp} label="environment that sends logs" />
      <h3>From a file, in tocsin.yaml</h3>
      <Copy text={file} label="source that follows a log file" />
      <p class="note">Promtail and Alloy push to <code>/loki/api/v1/push</code>. Secrets are taken out before anything is written; how long lines are kept says <code>limits.retention.logs</code>.</p>
    </Panel>
  );
}
