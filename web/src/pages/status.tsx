// Tocsin's own health: what it received, dropped and refused, what lags, where it sends.
import { useState } from "preact/hooks";
import { act, Problem, type Applied, type AuditEntry, type Destination, type OnCall, type OwnNumber, type Rollout, type Status as Answer } from "../api";
import { inBase, quantity, scaleOf, span } from "../format";
import { refresh, useAsk, useLink } from "../live";
import { useAct } from "../people";
import { A, Copy, Fault, Loading, Panel, Said, Time } from "../parts";

const STATES: [string, string][] = [
  ["live", "report at their usual pace"], ["zero", "report, but only zeros"], ["late", "are later than usual"],
  ["stale", "were declared gone by their source"], ["absent", "stopped without a word"], ["reset", "began anew"],
];
const EXPORTS = ["points", "distributions", "spans", "logs", "records", "events", "states", "scores", "findings", "incidents"];

export function Status({ scopes }: { scopes: string[] }) {
  const answer = useAsk<Answer>("/api/status", 10);
  const link = useLink();
  const it = answer.data;
  if (!it) return <main id="main"><h1 tabIndex={-1}>Status</h1>{answer.error ? <Fault error={answer.error} again={answer.again} /> : <Loading what="the status" />}</main>;
  const total = Object.values(it.states).reduce((sum, each) => sum + each, 0);
  const may = scopes.includes("operate") || scopes.includes("admin");
  return (
    <main id="main">
      <h1 tabIndex={-1}>Status of Tocsin itself</h1>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {it.not_ready.length > 0 && <div class="fault" role="alert">{it.not_ready.map((each) => <p key={each}>{each}</p>)}</div>}
      {it.notices.length > 0 && <Panel title="Caps that are reached" id="caps"><ul class="list">{it.notices.map((each) => <li key={each} class="note warn"><bdi>{each}</bdi></li>)}</ul></Panel>}
      <div class="grid">
        <Panel title="Processes" id="processes" note={`version ${it.version || "unknown"}`}>
          <Processes numbers={it.own.processes} now={it.now} />
          <p class="note">This page is {link === "live" ? "connected and live" : "not connected; it tries again by itself"}. <a href="/metrics">All metrics</a>, <a href="/openapi.json">API</a>.</p>
        </Panel>
        <Panel title="Dropped" id="dropped"><Numbers rows={it.own.drops} what="drops" none="Nothing was dropped since start." /></Panel>
        <Panel title="Refused or failed" id="refused"><Numbers rows={it.own.refusals} what="refusals" none="Nothing was refused since start." /></Panel>
        <Panel title="Lags and queues" id="lags"><Numbers rows={it.own.lags} what="lags and queues" none="No process reports a lag." /></Panel>
        <Panel title="Received" id="received"><Numbers rows={it.own.received} what="counts" none="Nothing was received since start." /></Panel>
        <Panel title="Series" id="states" note={total ? undefined : "none yet"}>
          {total === 0 ? <p class="quiet">No telemetry has arrived yet. <A to="/">How to send some</A></p> : (
            <table><tbody>{STATES.filter(([state]) => it.states[state]).map(([state, words]) => <tr key={state}><th scope="row">{state}</th><td class="num">{it.states[state]}</td><td class="note">{words}</td></tr>)}</tbody></table>
          )}
        </Panel>
      </div>
      <Destinations may={may} />
      <Routing may={may} />
      <div class="pair">
        <Configurations faults={it.config_faults} />
        {scopes.includes("admin") && <Trail />}
      </div>
      {it.unseen.length > 0 && <Panel title="What telemetry can't show" id="unseen" note="of attacks: look for these in other ways"><ul class="list">{it.unseen.map((each) => <li key={each}>{each}</li>)}</ul></Panel>}
      <Panel title="Take data out" id="export" note="everything stored can be read back">
        <p class="links">{EXPORTS.map((kind) => <a key={kind} href={`/api/export/${kind}`} download={`tocsin-${kind}.jsonl`}>{kind}</a>)}</p>
        <Copy text="tocsin export points --format parquet --out points.parquet" label="command to export" />
      </Panel>
    </main>
  );
}

function Processes({ numbers, now }: { numbers: OwnNumber[]; now: string }) {
  const names = [...new Set(numbers.map((each) => each.process))];
  const value = (process: string, name: string): number | undefined => numbers.find((each) => each.process === process && each.name === name)?.value;
  if (!names.length) return <p class="quiet">No process reports yet.</p>;
  return (
    <table>
      <thead><tr><th scope="col">Process</th><th scope="col" class="num">Memory</th><th scope="col" class="num">Up</th></tr></thead>
      <tbody>{names.map((process) => {
        const began = value(process, "process_start_time_seconds");
        return <tr key={process}><th scope="row">{process}</th><td class="num">{quantity(value(process, "process_resident_memory_bytes"), "By")}</td><td class="num">{began === undefined ? "–" : span(Date.parse(now) / 1000 - began)}</td></tr>;
      })}</tbody>
    </table>
  );
}

const UNIT: [RegExp, string][] = [[/_seconds(_total)?$/, "s"], [/_bytes(_total)?$/, "By"], [/_ratio$/, "1"]];
const plain = (name: string): string => name.replace(/^tocsin_/, "").replace(/_total$/, "").replaceAll("_", " ");
const shown = (row: OwnNumber): string => {
  const unit = UNIT.find(([pattern]) => pattern.test(row.name))?.[1] ?? "";
  const scale = scaleOf(unit, row.name);
  return inBase(row.value * scale.factor, scale);
};

const FEW = 12;

/** By name, the largest of each first; a server with many senders has a number for each. */
function Numbers({ rows, none, what }: { rows: OwnNumber[]; none: string; what: string }) {
  const [all, setAll] = useState(false);
  if (!rows.length) return <p class="quiet">{none}</p>;
  const ordered = rows.length > FEW ? [...rows].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : b.value - a.value)) : rows;
  const kept = all ? ordered : ordered.slice(0, FEW);
  return (
    <>
      <table>
        <tbody>{kept.map((row) => <tr key={`${row.process} ${row.name} ${row.labels}`}><th scope="row" title={row.name}>{plain(row.name)}{row.labels && <span class="note"><Said text={row.labels} /></span>}</th><td class="num">{shown(row)}</td></tr>)}</tbody>
      </table>
      {rows.length > FEW && <button type="button" class="btn small" aria-expanded={all} onClick={() => setAll(!all)}>{all ? `Show only ${FEW}` : `Show all ${rows.length} ${what}`}</button>}
    </>
  );
}

function Configurations({ faults }: { faults: string[] }) {
  const answer = useAsk<{ configurations: Applied[] }>("/api/config/history", 60);
  const rows = answer.data?.configurations;
  return (
    <Panel title="Configuration" id="configuration" note="the first is in force">
      {faults.length > 0 && <div class="fault" role="alert"><p><b>The changed file has a fault and no effect:</b></p>{faults.slice(0, 5).map((each) => <p key={each}><bdi>{each}</bdi></p>)}</div>}
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!rows ? !answer.error && <Loading what="configurations" /> : rows.length === 0 ? <p class="quiet">No file: the built-in monitors are on. <code>tocsin serve --config tocsin.yaml</code> reads one.</p> : (
        <ul class="list acts">{rows.map((row) => <li key={row.time}><Time at={row.time} seconds /><span><bdi>{row.by}</bdi> <code title={`SHA-256 ${row.sha256}`}>{row.sha256.slice(0, 12)}</code></span></li>)}</ul>
      )}
    </Panel>
  );
}

function Trail() {
  const answer = useAsk<{ entries: AuditEntry[] }>("/api/audit?limit=10", 60);
  const rows = answer.data?.entries;
  return (
    <Panel title="Who did what" id="trail" note={<>the last ten · <A to="/audit">all of it</A></>}>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!rows ? !answer.error && <Loading what="the trail" /> : rows.length === 0 ? <p class="quiet">Nobody did anything yet.</p> : (
        <ul class="list acts">{rows.map((row) => <li key={row.seq}><Time at={row.time} seconds /><span><b>{row.action.replaceAll("_", " ")}</b> <bdi>{row.subject.length > 40 ? `${row.subject.slice(0, 12)}…` : row.subject}</bdi> <span class="note">by <bdi>{row.actor}</bdi></span></span></li>)}</ul>
      )}
    </Panel>
  );
}

const PHASES: Record<number, string> = { 1: "latency, errors, volume", 2: "everything", 3: "everything, and on-call" };

/** Who is on call, and which phase of the rollout holds. */
function Routing({ may }: { may: boolean }) {
  const phase = useAsk<Rollout>("/api/rollout", 30);
  const people = useAsk<{ oncall: OnCall[] }>("/api/oncall", 60);
  const { busy, error, run } = useAct();
  const [at, rows] = [phase.data, people.data?.oncall ?? []];
  if (!at || (!at.configured && !rows.length)) return phase.error ? <Fault error={phase.error} again={phase.again} /> : null;
  return (
    <div class="pair">
      {at.configured && (
        <Panel title={`Rollout: phase ${at.phase} of 3`} id="rollout" note={at.since ? <>since <Time at={at.since} /> by <bdi>{at.by}</bdi></> : undefined}>
          <p>{at.words}.</p>
          {([["second", 2], ["third", 3]] as const).map(([key, number]) => at[key] && at.phase < number && <p key={key} class="note">Phase {number} begins <Time at={at[key] ?? null} />: {PHASES[number]}.</p>)}
          {at.phase < 3 && <p class="note">What is held back is on the <A to="/review">review board</A>, as it would have been sent.</p>}
          {may && <p class="row">{[1, 2, 3].filter((each) => each !== at.phase).map((each) => <button key={each} type="button" class="btn small" disabled={busy !== ""} onClick={() => void run(`phase ${each}`, () => act("/api/rollout", { phase: each }))}>{each < at.phase ? "Back to" : "Go to"} phase {each}: {PHASES[each]}</button>)}</p>}
          {error && <Fault error={error} />}
        </Panel>
      )}
      {rows.length > 0 && (
        <Panel title="On call now" id="oncall">
          <ul class="list">{rows.map((each) => <li key={each.schedule}><span><b><bdi>{each.schedule}</bdi></b> {each.people.length ? <bdi>{each.people.join(", ")}</bdi> : "nobody by the calendar"}</span><span class="note">told at <bdi>{each.to.join(", ")}</bdi></span></li>)}</ul>
        </Panel>
      )}
    </div>
  );
}

function Destinations({ may }: { may: boolean }) {
  const answer = useAsk<{ destinations: Destination[] }>("/api/destinations", 20);
  const rows = answer.data?.destinations;
  return (
    <Panel title="Destinations" id="destinations" note="where incidents are sent">
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!rows ? !answer.error && <Loading what="destinations" /> : rows.length === 0 ? (
        <><p class="quiet">None: incidents are only shown here. Add one to <code>tocsin.yaml</code>:</p>
          <Copy text={`destinations:\n  - {name: hook, type: webhook, url: "https://example.org/hook", secret: "\${HOOK_SECRET}"}\nroutes:\n  - {match: {}, to: [hook]}`} label="a destination for tocsin.yaml" /></>
      ) : <ul class="list destinations">{rows.map((row) => <Row key={row.name} row={row} may={may} />)}</ul>}
    </Panel>
  );
}

function Row({ row, may }: { row: Destination; may: boolean }) {
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState<{ ok: boolean; text: string }>();
  const test = (): void => {
    setBusy(true);
    act<{ result: string }>(`/api/destinations/${encodeURIComponent(row.name)}/test`)
      .then((found) => setSaid({ ok: true, text: found.result }), (error: unknown) => setSaid({ ok: false, text: error instanceof Problem ? error.detail : "no answer" }))
      .finally(() => { setBusy(false); refresh(); });
  };
  return (
    <li>
      <span class="line"><b>{row.name}</b> <span class="tag">{row.type}</span>{row.dry_run && <span class="tag warn">dry run</span>}<span class="grow" />{may && <button type="button" class="btn small" disabled={busy} onClick={test} aria-label={`Send a test to ${row.name}`}>{busy ? "Sending …" : "Send a test"}</button>}</span>
      <span class="note">{row.target && `${row.target} · `}last arrived {row.last_ok_at ? <Time at={row.last_ok_at} /> : "never"} · {row.pending} waiting · {row.failed} failed</span>
      {row.last_error && <span class="note warn">last error: {row.last_error}</span>}
      <span role="status" class={said?.ok === false ? "said bad" : "said"}>{said ? `${said.ok ? "✓" : "✗"} ${said.text}` : ""}</span>
    </li>
  );
}
