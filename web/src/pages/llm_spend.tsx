// What calls cost by hour, day or week, what the month will come to, and how budgets fare. All in UTC, as budgets are.
import { query } from "../api";
import { usd } from "../format";
import { useAsk } from "../live";
import { Many } from "../many";
import { Fault, Loading, Panel, Said } from "../parts";
import { set, usePlace } from "../url";

interface Steps { time: number[]; usd: number[] }
interface Month { spent_usd: number; forecast_usd: number | null; lasting_usd: number | null; days_known: number; ends: string }
type State = "over" | "will pass" | "within" | "not known yet";
interface Budget extends Month { name: string; match: Record<string, string>; usd_per_month: number; state: State }
interface Answer { hours: Steps; days: Steps | null; weeks: Steps; calls: number; unpriced: number; today_usd: number; usual_day_usd: number | null; month: Month | null; budgets: Budget[] }

const STEPS: Record<string, [keyof Pick<Answer, "hours" | "days" | "weeks">, string, number]> = {
  hour: ["hours", "two days by the hour, the last not over", 3600], day: ["days", "five weeks by the day, today not over", 86_400], week: ["weeks", "eight weeks from Monday on, the last not over", 604_800],
};
const SEVERE: Record<State, string> = { over: "sev error", "will pass": "sev warning", within: "", "not known yet": "" };
const date = (iso: string): string => new Date(`${iso}T00:00:00Z`).toLocaleDateString("en", { day: "numeric", month: "long", timeZone: "UTC" });

export function Spend({ filters, theme }: { filters: Record<string, string | undefined>; theme: string }) {
  const { params } = usePlace();
  const chosen = Object.hasOwn(STEPS, params.get("spend") ?? "") ? params.get("spend")! : "day";
  const answer = useAsk<Answer>(query("/api/llm/spend", filters), 120);
  const it = answer.data;
  const [key, title, step] = STEPS[chosen]!;
  return (
    <Panel title="Spending" id="spending" note={`${title}; UTC`}>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!it ? !answer.error && <Loading what="costs" /> : !it.days || !it.month ? <p class="quiet">No call of the last weeks is like this.</p> : (
        <>
          <Facts it={it} month={it.month} />
          <div class="row choices"><span class="choice" role="group" aria-label="Cost by">{Object.keys(STEPS).map((name) => <button type="button" key={name} class="btn small" aria-pressed={name === chosen} onClick={() => set({ spend: name === "day" ? undefined : name })}>by {name}</button>)}</span></div>
          <Costs steps={it[key]!} step={step} theme={theme} title={`Cost by ${chosen}`} />
          <Budgets budgets={it.budgets} />
        </>
      )}
    </Panel>
  );
}

function Costs({ steps, step, theme, title }: { steps: Steps; step: number; theme: string; title: string }) {
  const range: [number, number] = [steps.time[0]!, steps.time[steps.time.length - 1]! + step];
  return <Many lines={[{ name: "cost", time: steps.time, value: steps.usd }]} unit="USD" signal="" range={range} theme={theme} title={title} />;
}

function Facts({ it, month }: { it: Answer; month: Month }) {
  return (
    <dl class="facts">
      <div><dt>Today so far</dt><dd>{usd(it.today_usd)}<span class="note">{it.usual_day_usd === null ? "no whole day is known yet" : `a day like this costs ${usd(it.usual_day_usd)}`}</span></dd></div>
      <div><dt>This month so far</dt><dd>{usd(month.spent_usd)}<span class="note">{it.unpriced > 0 ? `${it.unpriced.toLocaleString("en")} of ${it.calls.toLocaleString("en")} calls have no price` : "all calls have a price"}</span></dd></div>
      <div><dt>By {date(month.ends)}</dt><dd>{month.forecast_usd === null ? "not known yet" : usd(month.forecast_usd)}<span class="note">{month.forecast_usd === null ? `three whole days are needed, ${month.days_known} known` : month.lasting_usd! > 1.02 * month.forecast_usd ? `${usd(month.lasting_usd!)} if every day is like this one` : "as days like these usually cost"}</span></dd></div>
    </dl>
  );
}

function Budgets({ budgets }: { budgets: Budget[] }) {
  if (!budgets.length) return <p class="note">No budget is set: name some under <code>budgets</code> in tocsin.yaml, and you are told before a month passes them.</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Table of budgets">
      <table class="few">
        <caption class="sr">Budgets of this month, whatever calls are chosen above</caption>
        <thead><tr><th scope="col">Budget</th><th scope="col">State</th><th scope="col" class="num">Forecast</th><th scope="col" class="num">So far</th><th scope="col" class="num">A month</th><th scope="col">Of</th></tr></thead>
        <tbody>{budgets.map((row) => (
          <tr key={row.name}>
            <th scope="row"><Said text={row.name} most={60} /></th>
            <td><span class={SEVERE[row.state]}>{row.state}</span></td>
            <td class="num">{row.forecast_usd === null ? "–" : <>{usd(row.forecast_usd)}<span class="note"> {Math.round(100 * row.forecast_usd / row.usd_per_month)} %</span></>}</td>
            <td class="num">{usd(row.spent_usd)}<span class="note"> {Math.round(100 * row.spent_usd / row.usd_per_month)} %</span></td>
            <td class="num">{usd(row.usd_per_month)}</td>
            <td class="text"><Said text={Object.entries(row.match).map(([name, glob]) => `${name.replace("_", " ")} ${glob}`).join(", ") || "all calls"} most={120} /></td>
          </tr>
        ))}</tbody>
      </table>
    </div>
  );
}
