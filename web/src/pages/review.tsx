// The review of alerts: what fired, what people said of it, and whether each team's budget was kept.
import { act, query, type Review as Answer, type Reviewed, type TeamReview, type Verdict } from "../api";
import { count } from "../format";
import { useAsk } from "../live";
import { A, Fault, Loading, Panel, Sev, Time } from "../parts";
import { useAct } from "../people";
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
  return (
    <main id="main">
      <h1 tabIndex={-1}>Review of alerts</h1>
      <p class="row" role="group" aria-label="How far back">{SPANS.map(([each, name]) => <button key={each} type="button" class="btn small" aria-pressed={each === days} onClick={() => go(query("/review", { days: each }))}>last {name}</button>)}</p>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!it ? !answer.error && <Loading what="the review" /> : <>
        <Panel title="Budgets" id="budgets" note="false pages a week: promised, and what came"><Budgets teams={it.teams} /></Panel>
        <Panel title="What fired" id="fired" note={count(it.incidents.length, "incident")}>
          {it.incidents.length === 0 ? <p class="quiet">Nothing fired in this time.</p> : <ul class="list">{it.incidents.map((each) => <Row key={each.id} it={each} may={may} />)}</ul>}
        </Panel>
      </>}
    </main>
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
      <span class="note"><Time at={it.opened_at} /> · <bdi>{it.team}</bdi> · {it.sent ? `${count(it.sent, "page")} sent` : "nobody was paged"}{it.said && <> · said by <bdi>{it.said.by}</bdi>{it.said.note && <>: <bdi>{it.said.note}</bdi></>}</>}</span>
      {error && <Fault error={error} />}
    </li>
  );
}
