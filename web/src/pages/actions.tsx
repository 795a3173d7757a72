// What is done about incidents: what waits for a word, what runs, its conditions and its log, and the switch that stops it all.
import { act, query } from "../api";
import { count } from "../format";
import { useAsk } from "../live";
import { A, Fault, Labels, Loading, Panel, Said, Time } from "../parts";
import { useAct } from "../people";
import { usePlace } from "../url";

interface Check { name: string; ok: boolean; said: string }
interface Step { time: string; by: string; what: string }
interface Action {
  id: string; incident: string; playbook: string; action: string; target: string; state: string; active: boolean; undoable: boolean;
  conclusion: string; proposer: string; approver: string; created_at: string; updated_at: string; judged_at: string | null;
  checks: Check[]; plan: { said?: string; undo?: boolean }; log: Step[];
}
interface Switch { stopped: boolean; since: string | null; by: string; note: string }
interface Playbook { name: string; approved: boolean; conclusion: string; action: Record<string, unknown>; when: Record<string, unknown>; require: Record<string, unknown>[]; verify: Record<string, unknown> | null }
interface Answer { enabled: boolean; dry_run: boolean; switch: Switch; playbooks: Playbook[]; actions: Action[] }
interface Entry { seq: number; time: string; actor: string; action: string; subject: string; sha256: string }

const GLYPH: Record<string, string> = { held: "‖", waiting: "?", approved: "→", running: "→", verifying: "…", undoing: "←", succeeded: "✓", rolled_back: "←", kept: "!", failed: "✕", dry_run: "○" };
const KIND: Record<string, string> = { succeeded: "ok", failed: "error", kept: "warning", rolled_back: "warning", waiting: "warning" };
const words = (name: string): string => name.replaceAll("_", " ");
const flat = (given: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(given).map(([key, value]) => [key, typeof value === "object" ? JSON.stringify(value) : String(value)]));

export function Actions({ scopes }: { theme: string; scopes: string[] }) {
  const incident = usePlace().params.get("incident") ?? "";
  const answer = useAsk<Answer>(query("/api/actions", { incident, limit: 200 }), 5);
  const it = answer.data;
  const may = scopes.includes("operate") || scopes.includes("admin");
  const active = it?.actions.filter((each) => each.active) ?? [];
  const over = it?.actions.filter((each) => !each.active) ?? [];
  return (
    <main id="main">
      <h1 tabIndex={-1}>Actions</h1>
      {incident && <p class="note">Only those about <A to={`/incidents/${encodeURIComponent(incident)}`}>{incident}</A>. <A to="/actions">Show all</A></p>}
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!it ? !answer.error && <Loading what="the actions" /> : <>
        <Standing it={it} may={may} admin={scopes.includes("admin")} />
        <Panel title="Not settled" id="active" note={count(active.length, "action")}>
          {active.length === 0 ? <p class="quiet">Nothing waits or runs.</p> : active.map((each) => <One key={each.id} it={each} may={may} open />)}
        </Panel>
        <Panel title="Settled" id="over" note={count(over.length, "action")}>
          {over.length === 0 ? <p class="quiet">Nothing was done yet.</p> : over.map((each) => <One key={each.id} it={each} may={may} open={false} />)}
        </Panel>
        <Panel title="Playbooks" id="playbooks" note={count(it.playbooks.length, "playbook")}><Playbooks playbooks={it.playbooks} /></Panel>
        {scopes.includes("admin") && <Ledger />}
      </>}
    </main>
  );
}

function Standing({ it, may, admin }: { it: Answer; may: boolean; admin: boolean }) {
  const { busy, error, run } = useAct();
  const { stopped, by, since, note } = it.switch;
  const turn = (): void => void run("switch", () => act(`/api/actions/${stopped ? "resume" : "stop"}`, { note: "" }));
  const text = stopped ? "Everything is stopped" : !it.enabled ? "Remediation is off" : it.dry_run ? "Dry run: it is only said what would be done" : "Remediation is on";
  return (
    <Panel title={text} id="standing">
      <p class="note">{stopped ? <>by <bdi>{by}</bdi>, <Time at={since} />{note && <>: <bdi>{note}</bdi></>}. Nothing is begun, nor taken back by itself; what you take back still is.</> : !it.enabled ? <>The configuration allows it with <code>{"remediation: {enabled: true}"}</code>.</> : "Stopping holds at once, and over restarts, until somebody lets it go on."}</p>
      {(stopped ? admin : may) && <button type="button" class={`btn${stopped ? "" : " main"}`} disabled={busy !== ""} onClick={turn}>{stopped ? "Let it go on" : "Stop everything"}</button>}
      {error && <Fault error={error} />}
    </Panel>
  );
}

function One({ it, may, open }: { it: Action; may: boolean; open: boolean }) {
  const { busy, error, run } = useAct();
  const say = (word: string): void => void run(word, () => act(`/api/actions/${encodeURIComponent(it.id)}/${word}`, { note: "" }));
  const can: [string, string, boolean][] = [["approve", "Approve", it.state === "waiting"], ["reject", "Reject", ["held", "waiting", "approved"].includes(it.state)], ["undo", "Take back", it.undoable]];
  const failing = it.checks.filter((each) => !each.ok).length;
  return (
    <details open={open} class="action">
      <summary>
        <span class={`sev ${KIND[it.state] ?? "info"}`}><span aria-hidden="true">{GLYPH[it.state] ?? "·"}</span> {words(it.state)}</span>{" "}
        <b><bdi>{it.playbook}</bdi></b>{it.target && <>: <Said text={it.target} most={60} /></>} <span class="note"><Time at={it.updated_at} seconds />{it.conclusion && <> · <bdi>{it.conclusion}</bdi></>}</span>
      </summary>
      <p class="note"><bdi>{it.id}</bdi> · {words(it.action)} for <A to={`/incidents/${encodeURIComponent(it.incident)}`}>{it.incident}</A> · proposed by <bdi>{it.proposer}</bdi>{it.approver && <> · approved by <bdi>{it.approver}</bdi></>}{it.state === "verifying" && it.judged_at && <> · judged at the latest <Time at={it.judged_at} seconds /></>}</p>
      {it.plan.said && <p>Plan: <Said text={it.plan.said} most={300} />{it.plan.undo === false && <span class="note"> · it can't be taken back</span>}</p>}
      {may && <p class="row">{can.filter(([, , shown]) => shown).map(([word, name]) => <button key={word} type="button" class={`btn small${word === "approve" ? " main" : ""}`} disabled={busy !== ""} aria-label={`${name}: ${it.playbook} ${it.target}`} onClick={() => say(word)}>{name}</button>)}</p>}
      {error && <Fault error={error} />}
      <h3 class="note">Conditions: {failing ? `${failing} of ${it.checks.length} not met` : `all ${it.checks.length} met`}</h3>
      <ul class="checks">{it.checks.map((each) => <li key={each.name}><span class={`sev ${each.ok ? "ok" : "warning"}`}><span aria-hidden="true">{each.ok ? "✓" : "‖"}</span> {each.ok ? "met" : "not met"}</span> <b><Said text={each.name} most={80} /></b>: <Said text={each.said} most={300} /></li>)}</ul>
      <h3 class="note">Log</h3>
      <ol class="checks">{it.log.map((each, i) => <li key={i}><Time at={each.time} seconds /> <span class="note">by <bdi>{each.by}</bdi></span> <Said text={each.what} most={500} /></li>)}</ol>
    </details>
  );
}

function Playbooks({ playbooks }: { playbooks: Playbook[] }) {
  if (!playbooks.length) return <p class="quiet">None: add <code>playbooks:</code> to tocsin.yaml. Nothing acts by itself.</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Playbooks in force">
      <table>
        <thead><tr><th scope="col">Playbook</th><th scope="col">When</th><th scope="col">Requires</th><th scope="col">Does</th><th scope="col">Verified</th><th scope="col">Approval</th></tr></thead>
        <tbody>{playbooks.map((each) => (
          <tr key={each.name}><th scope="row"><bdi>{each.name}</bdi>{each.conclusion && <span class="note">{each.conclusion}</span>}</th><td><Labels labels={flat(each.when)} /></td><td>{each.require.length ? each.require.map((one, i) => <Labels key={i} labels={flat(one)} />) : "–"}</td><td><Labels labels={flat(each.action)} /></td><td>{each.verify ? <Labels labels={flat(each.verify)} /> : "after 10 min, else taken back"}</td><td>{each.approved ? "given in advance" : "a second person"}</td></tr>
        ))}</tbody>
      </table>
    </div>
  );
}

function Ledger() {
  const answer = useAsk<{ entries: Entry[] }>("/api/audit?limit=100&action=remed*", 15);
  const whole = useAsk<{ sound: boolean; entries: number; reason?: string }>("/api/audit/verify", 60);
  const mine = answer.data?.entries ?? [];
  return (
    <Panel title="Ledger" id="ledger" note={whole.data && (whole.data.sound ? `${count(whole.data.entries, "entry", "entries")} of the trail checked, all sound` : whole.data.reason)}>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      <p class="note">Part of the <A to="/audit?action=remed*">audit trail</A>.</p>
      {mine.length === 0 ? <p class="quiet">No action is written down yet.</p> : <div class="scroll" tabIndex={0} role="region" aria-label="Ledger of actions"><table>
        <thead><tr><th scope="col" class="num">Entry</th><th scope="col">Time</th><th scope="col">Who</th><th scope="col">What</th><th scope="col">Of</th><th scope="col">SHA-256</th></tr></thead>
        <tbody>{mine.map((each) => <tr key={each.seq}><td class="num">{each.seq}</td><td><Time at={each.time} seconds /></td><td><bdi>{each.actor}</bdi></td><td>{words(each.action)}</td><td><bdi>{each.subject}</bdi></td><td><code>{each.sha256.slice(0, 12)}</code></td></tr>)}</tbody>
      </table></div>}
    </Panel>
  );
}
