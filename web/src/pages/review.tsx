// The review of alerts: what fired, what people said of it, and whether each team's budget was kept.
import { act, query, type ModelStanding, type Review as Answer, type Reviewed, type RouteReview, type TeamReview, type Verdict } from "../api";
import { count } from "../format";
import { useAsk } from "../live";
import { A, Fault, Loading, Panel, Sev, Time } from "../parts";
import { useAct } from "../people";
import { MaintenancePanel } from "../maintenance";
import { Square } from "../severity";
import { Shadow } from "../shadow";
import { go, usePlace } from "../url";

const SPANS: [number, string][] = [[1, "day"], [7, "week"], [28, "4 weeks"], [140, "20 weeks"]];
const KEPT = { yes: "kept", no: "over budget", unsaid: "open: judge what nobody judged yet" } as const;
const SAID: Record<Verdict, string> = { real_problem: "real problem", false_alarm: "false alarm" };
const rate = (value: number): string => value.toFixed(value < 10 ? 1 : 0);

export function Review({ scopes }: { scopes: string[] }) {
  const days = Number(usePlace().params.get("days") ?? 7) || 7;
  const answer = useAsk<Answer>(query("/api/review", { days }), 30);
  const it = answer.data;
  const may = scopes.includes("operate") || scopes.includes("admin");
  const quiet = (it?.incidents ?? []).filter((each) => !each.paged).sort((a, b) => (b.expected_loss ?? 0) - (a.expected_loss ?? 0));
  const due = it?.models.filter((each) => each.due).length ?? 0;
  const loud = (it?.incidents ?? []).filter((each) => each.paged);
  return (
    <main id="main">
      <h1 tabIndex={-1}>Review of alerts</h1>
      <p class="row" role="group" aria-label="How far back">{SPANS.map(([each, name]) => <button key={each} type="button" class="btn small" aria-pressed={each === days} onClick={() => go(query("/review", { days: each }))}>last {name}</button>)}</p>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!it ? !answer.error && <Loading what="the review" /> : <>
        <Panel title="Budgets" id="budgets" note="false pages a week: promised, and what came"><Budgets teams={it.teams} /></Panel>
        {it.models.length > 0 && <Panel title="Models of monitors" id="models" note={due ? `${due} due to be trained again` : "none is due to be trained again"}><Models models={it.models} may={may} /></Panel>}
        <Shadow days={days} />
        <div class="pair">
          <Panel title="Impact and confidence" id="square" note={count(it.incidents.length, "incident")}><Square squares={it.board.squares} /></Panel>
          <Panel title="By route" id="routes"><Routes routes={it.board.routes} /></Panel>
        </div>
        <Panel title="Board: what paged nobody" id="board" note={count(quiet.length, "incident")}>
          {quiet.length === 0 ? <p class="quiet">{loud.length ? "All that fired in this time paged somebody." : "Nothing fired in this time."}</p> : <ul class="list">{quiet.map((each) => <Row key={each.id} it={each} may={may} />)}</ul>}
        </Panel>
        <MaintenancePanel may={may} />
        <Panel title="What paged" id="fired" note={count(loud.length, "incident")}>
          {loud.length === 0 ? <p class="quiet">Nobody was paged in this time.</p> : <ul class="list">{loud.map((each) => <Row key={each.id} it={each} may={may} />)}</ul>}
        </Panel>
      </>}
    </main>
  );
}

/** What is held against the model of each monitor, and whether that is enough to train it again. */
function Models({ models, may }: { models: ModelStanding[]; may: boolean }) {
  const { busy, error, run } = useAct();
  const say = (each: ModelStanding, method: string): void => void run(each.monitor, () => act(`/api/retraining/${encodeURIComponent(each.monitor)}`, undefined, method));
  return (
    <>
      <ul class="list">{models.map((each) => (
        <li key={each.monitor}>
          <span class="line"><span class={`sev ${each.due ? "warning" : "ok"}`}><span aria-hidden="true">{each.due ? "■" : "✓"}</span> {each.due ? "train again" : each.put_off_at ? "put off" : "not due"}</span><b><bdi>{each.monitor}</bdi></b><span class="grow" />
            {may && each.due && <button type="button" class="btn small" disabled={busy !== ""} aria-label={`Put off: ${each.monitor}`} onClick={() => say(each, "DELETE")}>put off</button>}
            {may && each.put_off_at && <button type="button" class="btn small" disabled={busy !== ""} aria-label={`Take up again: ${each.monitor}`} onClick={() => say(each, "POST")}>take up again</button>}
          </span>
          {each.reasons.map((reason) => <span key={reason.text} class="note warn">since <Time at={reason.at} />: {reason.text}</span>)}
          <span class="note"><bdi>{each.model}</bdi> <code title={`SHA-256 ${each.sha256}`}>{each.sha256.slice(0, 12)}</code> · in force since <Time at={each.in_force_since} /> · {each.false_alarms} of {each.judged} judged were false · {each.missed} of {each.real} real ones missed{each.foreign_share !== null && ` · ${Math.round(100 * each.foreign_share)} % of series given what it was not made for`}{each.put_off_at && <> · counted anew since <Time at={each.put_off_at} /> by <bdi>{each.put_off_by}</bdi></>}</span>
        </li>
      ))}</ul>
      {error && <Fault error={error} />}
    </>
  );
}

function Routes({ routes }: { routes: RouteReview[] }) {
  if (!routes.length) return <p class="quiet">Nothing fired in this time.</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Incidents by route">
      <table>
        <thead><tr><th scope="col">Route</th><th scope="col" class="num">Incidents</th><th scope="col" class="num">Paged</th><th scope="col" class="num">Held back</th><th scope="col" class="num">Not judged</th></tr></thead>
        <tbody>{routes.map((each) => <tr key={each.route}><th scope="row"><bdi>{each.route}</bdi></th><td class="num">{each.incidents}</td><td class="num">{each.paged}</td><td class="num">{each.held}</td><td class="num">{each.unsaid}</td></tr>)}</tbody>
      </table>
    </div>
  );
}

function Budgets({ teams }: { teams: TeamReview[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Budgets by team">
      <table>
        <thead><tr><th scope="col">Team</th><th scope="col" class="num">Promised</th><th scope="col" class="num">False</th><th scope="col" class="num">At most</th><th scope="col" class="num">Incidents</th><th scope="col" class="num">Not judged</th><th scope="col">Budget</th></tr></thead>
        <tbody>{teams.map((each) => (
          <tr key={each.team}><th scope="row"><bdi>{each.team}</bdi></th><td class="num">{rate(each.promised_per_week)}</td><td class="num">{rate(each.false_per_week)}</td><td class="num">{rate(each.at_most_per_week)}</td><td class="num">{each.incidents}</td><td class="num">{each.unsaid}</td><td>{KEPT[each.kept]}</td></tr>
        ))}</tbody>
      </table>
    </div>
  );
}

function Row({ it, may }: { it: Reviewed; may: boolean }) {
  const { busy, error, run } = useAct();
  const say = (verdict: Verdict): void => void run(verdict, () => act(`/api/incidents/${encodeURIComponent(it.id)}/feedback`, { verdict, note: "" }));
  return (
    <li>
      <span class="line"><Sev severity={it.severity} state={it.state} /><A to={`/incidents/${encodeURIComponent(it.id)}`} class="title"><bdi>{it.title}</bdi></A><span class="grow" />
        {it.said && <span class="tag">{SAID[it.said.verdict]}</span>}
        {may && (["real_problem", "false_alarm"] as const).filter((each) => each !== it.said?.verdict).map((each) => <button key={each} type="button" class="btn small" disabled={busy !== ""} aria-label={`${SAID[each]}: ${it.title}`} onClick={() => say(each)}>{SAID[each]}</button>)}
      </span>
      <span class="note"><Time at={it.opened_at} /> · <bdi>{it.team}</bdi> · {it.sent ? `${count(it.sent, "page")} sent` : "nobody was told"}{it.impact_level && ` · ${it.impact_level === "unknown" ? "impact not known" : `${it.impact_level} impact`}, ${it.confidence_level} confidence`}{it.said && <> · said by <bdi>{it.said.by}</bdi>{it.said.note && <>: <bdi>{it.said.note}</bdi></>}</>}</span>
      {it.why.map((each) => <span key={each.reason} class="note">held back: <bdi>{each.reason}</bdi>{each.to.length > 0 && <> · would have told <bdi>{each.to.join(", ")}</bdi></>}</span>)}
      {error && <Fault error={error} />}
    </li>
  );
}
