// Shadow mode: incidents beside what others alerted on, and whether they pass the gate.
import { query } from "./api";
import { count } from "./format";
import { useAsk } from "./live";
import { A, Fault, Panel, Time } from "./parts";

interface Scorecard {
  incidents: number; alerts: number; precision: number | null; recall: number | null; overlap: number | null; lead_s: number | null; dry_run: boolean;
  gate: { passed: boolean; reasons: string[]; precision: number; recall: number; least: number };
  alerts_missed: { name: string; start: string }[];
  incidents_alone: { id: string; title: string; opened_at: string; said: string }[];
}

const FIRST = 10;
const share = (value: number | null): string => (value === null ? "not known" : `${Math.round(100 * value)} %`);

export function Shadow({ days }: { days: number }) {
  const answer = useAsk<Scorecard>(query("/api/shadow", { days }), 60);
  const it = answer.data;
  if (answer.error) return <Fault error={answer.error} again={answer.again} />;
  if (!it || (!it.dry_run && it.alerts === 0)) return null;
  return (
    <Panel title="Beside other alerts" id="shadow" note={it.dry_run ? "shadow mode: nothing is sent" : ""}>
      <p>{count(it.incidents, "incident")}, {count(it.alerts, "alert")} of others. Right: {share(it.precision)}. Alerts seen: {share(it.recall)}. Overlap: {share(it.overlap)}.{it.lead_s !== null && ` ${Math.abs(Math.round(it.lead_s))} s ${it.lead_s >= 0 ? "earlier" : "later"} (median).`}</p>
      <p><strong>{it.gate.passed ? (it.dry_run ? "Good enough to be let out: set dry_run: false." : "Passes the gate.") : "Not yet."}</strong></p>
      {it.gate.reasons.length > 0 && <ul>{it.gate.reasons.map((each) => <li key={each}>{each}</li>)}</ul>}
      {it.alerts === 0 && <p class="quiet">Take in what others alerted on: <code>tocsin shadow --alerts FILE</code></p>}
      {it.alerts_missed.length > 0 && <details><summary>{count(it.alerts_missed.length, "alert")} without an incident</summary><ul>{it.alerts_missed.slice(0, FIRST).map((each) => <li key={each.start + each.name}><Time at={each.start} /> <bdi>{each.name}</bdi></li>)}</ul></details>}
      {it.alerts > 0 && it.incidents_alone.length > 0 && <details><summary>{count(it.incidents_alone.length, "incident")} without an alert</summary><ul>{it.incidents_alone.slice(0, FIRST).map((each) => <li key={each.id}><Time at={each.opened_at} /> <A to={`/incidents/${encodeURIComponent(each.id)}`}><bdi>{each.title}</bdi></A></li>)}</ul></details>}
    </Panel>
  );
}
