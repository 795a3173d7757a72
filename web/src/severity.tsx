// Where an incident lies between impact and confidence, and what was counted of it.
import type { Incident, Urgency } from "./api";
import { Panel, Said, Time } from "./parts";

const SQUARES: Record<Urgency, string> = { page: "page now", chat: "chat", ticket: "ticket", review: "review board" };

/** The 2x2: impact by confidence, with what belongs where; the square `at`, or how many lie in each. */
export function Square({ at, squares }: { at?: Urgency | ""; squares?: Record<Urgency, number> }) {
  const cell = (urgency: Urgency) => (
    <td class={at === urgency || (squares && squares[urgency] > 0) ? "here" : ""} aria-current={at === urgency ? "true" : undefined}>
      {squares && <b>{squares[urgency]}</b>} {SQUARES[urgency]}{at === urgency && <span class="note"> this one</span>}
    </td>
  );
  return (
    <table class="square">
      <caption class="sr">Impact by confidence</caption>
      <thead><tr><td /><th scope="col">less sure</th><th scope="col">sure</th></tr></thead>
      <tbody>
        <tr><th scope="row">high impact, or not known</th>{cell("chat")}{cell("page")}</tr>
        <tr><th scope="row">low impact</th>{cell("review")}{cell("ticket")}</tr>
      </tbody>
    </table>
  );
}

const number = (value: unknown, digits = 0): string => (typeof value === "number" ? value.toLocaleString("en", { maximumFractionDigits: digits }) : "");
const usd = (value: unknown): string => `${number(value, 2)} USD`;
const share = (value: unknown, digits = 1): string => (typeof value === "number" ? `${(value * 100).toLocaleString("en", { maximumFractionDigits: digits })} %` : "");

/** What was counted, in words, the ones that there are. */
function figures(impact: Record<string, unknown>): [string, string][] {
  const has = (key: string): boolean => typeof impact[key] === "number";
  const of = (key: string, all: string): string => `${number(impact[key])} of ${number(impact[all])}`;
  const rows: [string, string][] = [];
  if (has("requests_hit")) rows.push(["Requests hit", `${of("requests_hit", "requests")}: ${number(impact["requests_failed"])} failed${has("requests_slow") ? `, ${number(impact["requests_slow"])} too slow` : ""}`]);
  else if (has("requests")) rows.push([impact["counted"] === "records" ? "Predictions" : "Requests", number(impact["requests"])]);
  if (has("users_hit")) rows.push(["Users hit", of("users_hit", "users_counted")]);
  if (has("tokens_burnt")) rows.push(["Tokens burnt", of("tokens_burnt", "tokens")]);
  if (has("usd_burnt")) rows.push(["Money burnt", `${usd(impact["usd_burnt"])} of ${usd(impact["usd"])}`]);
  if (has("revenue_at_risk_usd")) rows.push(["Revenue at risk", usd(impact["revenue_at_risk_usd"])]);
  for (const key of Object.keys(impact)) {
    const name = /^objective\.(.+)\.burn_rate$/.exec(key)?.[1];
    if (name) rows.push([`Objective ${name}`, `burns ${number(impact[key], 1)}× its budget, ${share(impact[`objective.${name}.budget_spent_ratio`], 3)} of it so far`]);
  }
  if (typeof impact["compliance_tags"] === "string") rows.push(["Compliance", impact["compliance_tags"]]);
  return rows;
}

/** What an incident costs: the sum of its severity, what was counted, and its square. */
export function Loss({ it }: { it: Incident }) {
  const rows = figures(it.impact);
  const [from, to] = [it.impact["counted_from"], it.impact["counted_to"]];
  return (
    <Panel title="Severity: impact × confidence" id="loss" note={typeof from === "string" && typeof to === "string" ? <>counted from <Time at={from} seconds /> to <Time at={to} seconds /></> : "nothing was counted of it"}>
      <div class="pair">
        <div>
          <Square at={it.urgency} />
          {it.impact_level === "unknown" && <p class="note">Its impact is not known, and is not taken to be low.</p>}
        </div>
        <div>
          {rows.length > 0 && <dl class="facts figures">{rows.map(([name, words]) => <div key={name}><dt>{name}</dt><dd><Said text={words} /></dd></div>)}</dl>}
          <p class="sum"><Said text={it.severity_arithmetic || "no arithmetic was recorded"} most={1500} /></p>
        </div>
      </div>
    </Panel>
  );
}
