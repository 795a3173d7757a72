// One incident: what happened in plain words, then why, then everything that shows it.
import { useMemo, useState } from "preact/hooks";
import { act, Problem, query, type Cause, type Example, type Finding, type Incident as Answer, type IncidentSignals, type Line, type Moment, type Overview } from "../api";
import { Chart, Dash, Overlay, type Mark } from "../chart";
import { count, expected, quantity, rarity, span } from "../format";
import { refresh, useAsk } from "../live";
import { Lineage } from "../lineage";
import { Matchers, SilenceForm, useAct, VerdictForm } from "../people";
import { A, brief, Fault, Labels, Loading, Name, Panel, Said, Sev, Time } from "../parts";
import { InShort } from "../told";
import { Loss } from "../severity";
import { RegroupForm } from "../regroup";
import { set, usePlace } from "../url";

const MOST = 6;

export function Incident({ id, theme, scopes }: { id: string; theme: string; scopes: string[] }) {
  const path = `/api/incidents/${encodeURIComponent(id)}`;
  const answer = useAsk<Answer>(path, 15);
  const all = useAsk<Overview>("/api/overview", 60);
  const it = answer.data;
  const order = (all.data?.incidents ?? []).concat(all.data?.resolved ?? []).map((each) => each.id);
  const at = order.indexOf(id);
  const [before, after] = [at > 0 ? order[at - 1] : undefined, at >= 0 ? order[at + 1] : undefined];
  return (
    <main id="main" class="incident">
      <nav class="crumbs" aria-label="Incidents">
        <A to="/">← Inbox</A>
        <span class="grow" />
        {before && <A to={`/incidents/${before}`} data-previous="">previous <kbd>k</kbd></A>}
        {after && <A to={`/incidents/${after}`} data-next="">next <kbd>j</kbd></A>}
      </nav>
      {it ? <Body it={it} theme={theme} may={scopes.includes("operate") || scopes.includes("admin")} path={path} /> : (
        <><h1 tabIndex={-1}>Incident</h1>{answer.error ? <Fault error={answer.error} again={answer.again} /> : <Loading what="the incident" />}</>
      )}
      {it && answer.error && <Fault error={answer.error} again={answer.again} />}
    </main>
  );
}

function Body({ it, theme, may, path }: { it: Answer; theme: string; may: boolean; path: string }) {
  return (
    <>
      <header class="statement">
        <p class="line"><Sev severity={it.severity} state={it.state} /><span class="tag">{it.state}</span>{it.late && <span class="tag">late data</span>}{it.reopened > 0 && <span class="tag">reopened {it.reopened}×</span>}<span class="id">{it.id}</span></p>
        <h1 tabIndex={-1}>{it.title}</h1>
        {it.statement && it.statement !== it.title && <p class="say">{it.statement}</p>}
        {it.silenced && <p class="note warn">Silenced until <Time at={it.silenced.ends_at} /> by <bdi>{it.silenced.by}</bdi>: nobody is told. It matches <Matchers matchers={it.silenced.matchers} />{it.silenced.note && <> · <bdi>{it.silenced.note}</bdi></>}. <A to="/">End it on the overview</A></p>}
        {may && <Asked it={it} path={path} />}
        {may && <Buttons it={it} path={path} />}
        {!may && <p class="note">To acknowledge, silence or resolve, sign in with a key of scope operate.</p>}
      </header>
      <Facts it={it} />
      <InShort path={path} />
      <Causes causes={it.causes} />
      <Loss it={it} />
      <Examples path={path} it={it} />
      <Timeline it={it} theme={theme} path={path} />
      <Findings it={it} />
      <div class="pair">
        <History moments={it.timeline} />
        <SentTo it={it} />
      </div>
    </>
  );
}

const ASKED: Record<string, [question: string, yes: string]> = {
  ack: ["You came to acknowledge it: nobody else is called then.", "Acknowledge"],
  real_problem: ["You came to say that it is a real problem.", "It is real"],
  false_alarm: ["You came to say that it is a false alarm.", "It is a false alarm"],
};

/** What a link in a message asks for; only a press here says it, so that a preview of the link says nothing. */
function Asked({ it, path }: { it: Answer; path: string }) {
  const { params } = usePlace();
  const { busy, error, run } = useAct();
  const what = params.get("say") ?? "";
  const asked = ASKED[what];
  if (!asked) return null;
  const over = what === "ack" && it.state !== "open";
  const say = (): void => void run(what, () => (what === "ack" ? act(`${path}/ack`) : act(`${path}/feedback`, { verdict: what, note: "" }))).then((done) => { if (done) set({ say: undefined }, true); });
  return (
    <div class="panel asked" role="group" aria-label="From your message">
      <p>{over ? `It is ${it.state} already: there is nothing to acknowledge.` : asked[0]}</p>
      <div class="buttons">
        {!over && <button type="button" class="btn main" disabled={busy !== ""} onClick={say}>{busy ? "Saying so …" : asked[1]}</button>}
        <button type="button" class="btn" onClick={() => set({ say: undefined }, true)}>{over ? "Close" : "Not now"}</button>
      </div>
      {error && <Fault error={error} />}
    </div>
  );
}

function Buttons({ it, path }: { it: Answer; path: string }) {
  const [busy, setBusy] = useState("");
  const [error, setError] = useState<Problem>();
  const press = (what: string): void => {
    setBusy(what);
    act(`${path}/${what}`).then(() => setError(undefined), (found: unknown) => setError(found instanceof Problem ? found : undefined)).finally(() => { setBusy(""); refresh(); });
  };
  return (
    <div class="buttons">
      {it.state === "open" && <button type="button" class="btn main" disabled={busy !== ""} onClick={() => press("ack")}>{busy === "ack" ? "Acknowledging …" : "Acknowledge"}</button>}
      {it.state !== "resolved" && <button type="button" class="btn" disabled={busy !== ""} onClick={() => press("resolve")}>{busy === "resolve" ? "Resolving …" : "Resolve"}</button>}
      {it.state !== "resolved" && !it.silenced && <SilenceForm it={it} />}
      <VerdictForm it={it} path={path} />
      {it.state !== "resolved" && <RegroupForm it={it} path={path} />}
      {error && <Fault error={error} />}
    </div>
  );
}

/** Models that findings are about, with the time since the first of them: what was before is what they are compared with. */
function modelsOf(it: Answer): { name: string; to: string }[] {
  const mine = it.findings.filter((each) => each.signal.startsWith("tocsin.model.") && each.labels["model"]);
  return [...new Set(mine.map((each) => each.labels["model"]!))].slice(0, 4).map((name) => {
    const found = mine.filter((each) => each.labels["model"] === name);
    const end = Date.parse(it.resolved_at ?? it.now);
    // a look at a few minutes shows nothing: an hour at least
    const start = Math.min(...found.map((each) => Date.parse(each.start)), end - 3600_000);
    const versions = new Set(found.map((each) => each.labels["version"] ?? ""));
    const version = versions.size === 1 ? [...versions][0] || undefined : undefined;
    return { name, to: query("/models", { model: name, version, from: new Date(start).toISOString(), to: it.resolved_at ? new Date(end).toISOString() : undefined }) };
  });
}

const IMPACT = new Set(["users", "revenue", "compliance", "money"]);

function Facts({ it }: { it: Answer }) {
  const end = it.resolved_at ? Date.parse(it.resolved_at) : Date.parse(it.now);
  const surest = [...it.findings].sort((a, b) => (a.log10_p ?? 0) - (b.log10_p ?? 0))[0];
  const models = modelsOf(it);
  const impact = Object.entries(it.impact).filter(([key]) => IMPACT.has(key));
  return (
    <dl class="facts panel">
      <div><dt>Since</dt><dd><Time at={it.opened_at} seconds /><span class="note">{it.resolved_at ? `lasted ${span((end - Date.parse(it.opened_at)) / 1000)}` : `for ${span((end - Date.parse(it.opened_at)) / 1000)}`}</span></dd></div>
      <div><dt>Severity</dt><dd><Sev severity={it.severity} /><span class="note">{it.impact_level ? `${it.impact_level === "unknown" ? "impact not known" : `${it.impact_level} impact`}, ${it.confidence_level} confidence` : "the sum is below"}</span></dd></div>
      <div><dt>How sure</dt><dd>{surest ? <>{rarity(surest.log10_p, surest.n_eff)}<span class="note">strongest finding: {surest.monitor}{surest.level !== null && surest.log10_p !== null ? `, log10 p ${surest.log10_p.toFixed(1)} where ${surest.level.toFixed(1)} was needed` : ""}</span></> : "–"}</dd></div>
      <div><dt>Where</dt><dd>{it.entities.length ? it.entities.map((each) => <A key={each} class="tag" to={query("/signals", { entity: each })}><Said text={each} most={80} /></A>) : "–"}{impact.length > 0 && <span class="note">impact: {impact.map(([key, value]) => `${key.replaceAll("_", " ")} ${String(value)}`).join(", ")}</span>}</dd></div>
      {it.lineage.length > 0 && <div><dt>Compared with</dt><dd><Lineage origins={it.lineage} /></dd></div>}
      {it.runbooks.length > 0 && <div><dt>Runbooks</dt><dd>{it.runbooks.map((each) => <a key={each.url} href={each.url} rel="noreferrer noopener">{brief(each.title, 120)}</a>)}<span class="note">for what fails together here</span></dd></div>}
      {(it.team || it.monitor_runbooks.length > 0) && <div><dt>Whose</dt><dd>{it.team ? <bdi>{it.team}</bdi> : "no team owns it"}{it.route && <span class="note">route <bdi>{it.route}</bdi></span>}{it.monitor_runbooks.map((each) => <span key={each} class="note">runbook: {/^https?:\/\//.test(each) ? <a href={each} rel="noreferrer noopener">{brief(each, 120)}</a> : <Said text={each} most={200} />}</span>)}</dd></div>}
      {models.length > 0 && <div><dt>Models</dt><dd>{models.map((each) => <A key={each.name} class="tag" to={each.to}><Said text={each.name} most={80} /></A>)}<span class="note">performance, drift and segments since it began, beside the time before</span></dd></div>}
    </dl>
  );
}

/** What a link of a cause leads to. */
const seen = (link: string, k: number): string => `${({ signals: "the signal", traces: "its traces", logs: "its log" })[link.split(/[/?]/)[1] ?? ""] ?? "evidence"}${k ? ` ${k + 1}` : ""}`;

const pro = (each: string, k: number) => <li key={k} class="for"><span aria-hidden="true">+</span><span class="sr">for: </span><Said text={each} most={400} /></li>;

function More({ all }: { all: string[] }) {
  if (!all.length) return null;
  return <details class="rest"><summary>{all.length} more for it</summary><ul class="evidence">{all.map(pro)}</ul></details>;
}

function Causes({ causes }: { causes: Cause[] }) {
  return (
    <Panel title="Probable causes" id="causes" note={causes.length ? "ranked by evidence" : undefined}>
      {causes.length === 0 ? <p class="quiet">No candidate yet: nothing that is known changed before the first finding.</p> : (
        <ol class="causes">
          {causes.map((cause, i) => (
            <li key={i} class={i === 0 ? "first" : ""}>
              <div class="rank"><meter min={0} max={1} value={cause.score} aria-label={`Score of cause ${i + 1}`} /><b>{cause.score.toFixed(2)}</b></div>
              <div class="why">
                <p><span class="tag">{cause.kind}</span> <b><Said text={cause.what} /></b>{cause.entity && <span class="note"> on <Said text={cause.entity} most={80} /></span>}</p>
                <ul class="evidence">
                  {cause.evidence.slice(0, i ? 2 : MOST).map(pro)}
                  {cause.links.length > 0 && <li class="for"><span aria-hidden="true">→</span><span>{cause.links.slice(0, 6).map((each, k) => <A key={each} class="tag" to={each}>{seen(each, k)}</A>)}</span></li>}
                  {cause.refuted_by.map((each, k) => <li key={k} class="against"><span aria-hidden="true">−</span><span class="sr">against: </span><Said text={each} most={400} /></li>)}
                </ul>
                <More all={cause.evidence.slice(i ? 2 : MOST)} />
              </div>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}

/** Traces that show it; where no service of it sends spans there is nothing to say. */
function Examples({ path, it }: { path: string; it: Answer }) {
  const answer = useAsk<{ services: string[]; traces: Example[] }>(`${path}/traces`, 60);
  if (!answer.data?.traces.length) return answer.error ? <Fault error={answer.error} again={answer.again} /> : null;
  const { traces } = answer.data;
  const first = Math.min(...it.findings.map((each) => Date.parse(each.start)), Date.parse(it.opened_at));
  const to = it.resolved_at ? String(Math.ceil(Date.parse(it.resolved_at) / 1000)) : undefined;
  return (
    <Panel title="Example traces" id="examples" note={<A to={query("/traces", { service: traces[0]!.service, from: Math.floor(first / 1000), to, order: "slowest" })}>all since it began</A>}>
      <ul class="grid">
        {traces.map((each) => <li key={each.role}><A to={`/traces/${each.trace_id}`}>{each.words}</A> <b>{quantity(each.duration_s, "s")}</b><span class="note"> <Said text={each.operation} most={60} /> of <Said text={each.service} most={40} />, <Time at={each.start} seconds /></span></li>)}
      </ul>
    </Panel>
  );
}

const nameOf = (line: Line): string => {
  const where = line.labels["service.name"] ?? line.labels["host.name"] ?? "";
  return where ? `${brief(line.signal)} · ${brief(where, 80)}` : brief(line.signal);
};

/** Names of lines; those that would be called alike get the labels by which they differ. */
function namesOf(lines: Line[]): string[] {
  const plain = lines.map(nameOf);
  return lines.map((line, i) => {
    const alike = lines.filter((_, k) => plain[k] === plain[i]);
    const telling = Object.keys(line.labels).filter((key) => alike.some((each) => each.labels[key] !== line.labels[key]));
    return [plain[i]!, ...telling.slice(0, 2).map((key) => brief(line.labels[key]!, 40))].join(" · ");
  });
}

function Timeline({ it, theme, path }: { it: Answer; theme: string; path: string }) {
  const { params } = usePlace();
  const [from, to, all] = [params.get("from") ?? undefined, params.get("to") ?? undefined, params.get("all")];
  const answer = useAsk<IncidentSignals>(query(`${path}/signals`, { from, to }), 20);
  const data = answer.data;
  const range = useMemo<[number, number] | undefined>(() => (data ? [data.from, data.to] : undefined), [data?.from, data?.to]);
  const marks = useMemo<Mark[]>(() => it.changes.map((each, i) => ({ at: Date.parse(each.time) / 1000, number: i + 1 })), [JSON.stringify(it.changes)]);
  const shown = useMemo(() => data?.signals.slice(0, all ? undefined : MOST) ?? [], [data, all]);
  const names = useMemo(() => namesOf(shown), [shown]);
  const banded = useMemo(() => shown.filter((line) => line.lower.some((each) => each !== null) || line.upper.some((each) => each !== null)), [shown]);
  const zoom = (a: number, b: number): void => set({ from: a.toFixed(0), to: b.toFixed(0) });
  return (
    <Panel title="Timeline" id="timeline" note={from || to ? <button type="button" class="btn small" onClick={() => set({ from: undefined, to: undefined })}>Whole span</button> : "drag over a chart to zoom"}>
      {it.changes.length > 0 && (
        <ol class="marks">{it.changes.map((each, i) => <li key={i}><span class="mark" aria-hidden="true">{i + 1}</span><span><Time at={each.time} /> <b>{each.kind}</b> {each.entity && <><Said text={each.entity} most={80} />: </>}<Said text={each.what} /></span></li>)}</ol>
      )}
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!data || !range ? !answer.error && <Loading what="the signals" /> : data.signals.length === 0 ? <p class="quiet">No values of these signals are stored for this span of time.</p> : (
        <>
          {banded.length > 1 && <><h3>What moved, in half widths of its expected band</h3><Overlay lines={banded} names={banded.map((line) => names[shown.indexOf(line)]!)} marks={marks} range={range} theme={theme} zoom={zoom} /></>}
          <div class="multiples">
            {shown.map((line, i) => (
              <div key={line.monitor + line.series_id}>
                <h3>{banded.length > 1 && banded.includes(line) && <Dash index={banded.indexOf(line)} />}<A to={query("/signals", { signal: line.signal, series: line.series_id })}>{names[i]}</A></h3>
                <Chart line={line} marks={marks} range={range} theme={theme} zoom={zoom} title={names[i]!} />
              </div>
            ))}
          </div>
          {data.signals.length > shown.length && <button type="button" class="btn" onClick={() => set({ all: "1" })}>Show {count(data.signals.length - shown.length, "more signal")}</button>}
          {data.left_out > 0 && <p class="note">{count(data.left_out, "further signal")} not drawn; the table below names them.</p>}
        </>
      )}
    </Panel>
  );
}

function Findings({ it }: { it: Answer }) {
  return (
    <Panel title="Findings" id="findings" note={count(it.findings.length, "signal")}>
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of findings">
        <table class="wide">
          <thead><tr><th scope="col">Signal</th><th scope="col">Severity</th><th scope="col" class="num">Value</th><th scope="col">Expected</th><th scope="col">How rare</th><th scope="col">From</th><th scope="col">Where</th></tr></thead>
          <tbody>{it.findings.map((each) => <Row key={each.id} each={each} />)}</tbody>
        </table>
      </div>
    </Panel>
  );
}

const ARROW: Record<string, string> = { up: "↑", down: "↓", shape: "∿", absent: "∅" };

function Row({ each }: { each: Finding }) {
  return (
    <tr>
      <th scope="row" class="names"><A to={query("/signals", { signal: each.signal, series: each.series_id })}><Name text={each.signal} /></A><span class="note"><Name text={each.monitor} /></span></th>
      <td><Sev severity={each.severity} /></td>
      <td class="num"><span aria-hidden="true">{ARROW[each.direction] ?? ""} </span><span class="sr">{each.direction} </span>{quantity(each.value, each.unit, each.signal)}</td>
      <td>{expected(each.expected, each.unit, each.signal)}</td>
      <td>{rarity(each.log10_p, each.n_eff)}</td>
      <td><Time at={each.start} seconds /></td>
      <td><Labels labels={each.labels} /></td>
    </tr>
  );
}

const LIFE: Record<string, string> = { change: "changed", finding: "out of line", life: "incident" };

function History({ moments }: { moments: Moment[] }) {
  return (
    <Panel title="What happened when" id="history">
      <ol class="history">
        {moments.map((each, i) => (
          <li key={i} class={each.type}>
            <Time at={each.time} seconds />
            <span><span class="tag">{each.type === "life" ? each.kind.replaceAll("_", " ") : each.type === "change" ? each.kind : LIFE[each.type]}</span> {each.type === "finding" ? <Said text={each.what} /> : <>{each.entity && (each.type === "life" ? <>by <bdi>{each.entity}</bdi>{each.what && ": "}</> : <><Said text={each.entity} most={80} />: </>)}<Said text={each.what} most={400} /></>}</span>
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function SentTo({ it }: { it: Answer }) {
  return (
    <Panel title="Who was told" id="sent">
      {it.pages.length === 0 ? <p class="quiet">Nobody: no route matched, or no destination is configured. See <A to="/status">Status</A>.</p> : (
        <ul class="list">
          {it.pages.map((each) => (
            <li key={each.id}><span><b>{each.destination}</b> {each.action} <span class={`tag ${each.state === "sent" ? "" : "warn"}`}>{each.dry_run ? (each.reason === "dry run" ? "dry run" : "held back") : each.state}</span></span>
              <span class="note"><Time at={each.sent_at ?? each.created_at} seconds />{each.attempts > 1 && `, ${count(each.attempts, "attempt")}`}{each.reason && `: ${each.reason}`}</span></li>
          ))}
        </ul>
      )}
      {it.escalation && <p class="note next">Next, at <Time at={it.escalation.at} seconds /> unless somebody acknowledges it: <b>{it.escalation.to.join(", ")}</b>{it.escalation.of > 1 && ` (level ${it.escalation.level} of ${it.escalation.of})`}.</p>}
    </Panel>
  );
}
