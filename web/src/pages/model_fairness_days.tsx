// Fairness over time: each group's rate less that of all others, day by day, and whether it has moved.
import { Fragment } from "preact";
import { query } from "../api";
import { Graph, type Dot } from "../graph";
import { useAsk } from "../live";
import type { GroupDays, GroupsOverTime, RateDays } from "../models";
import { brief, Fault, Said } from "../parts";
import { set, usePlace } from "../url";
import { Below, Decided } from "./model_drift";
import { short, Value } from "./model_performance";
import { Choice } from "./models";

const MOST = 6;
const noon = (day: string): number => Date.parse(`${day}T12:00:00Z`) / 1000;
const words = (rate: string): string => rate.replaceAll("_", " ");

export function FairnessOverTime({ model, group }: { model: string; group: string }) {
  const { params } = usePlace();
  const answer = useAsk<GroupsOverTime>(query(`/api/fairness/${encodeURIComponent(model)}`, { group: group || undefined }), 300);
  const it = answer.data;
  if (!it) return answer.error ? <><h3>Over time</h3><Fault error={answer.error} again={answer.again} /></> : null;
  const rates = it.rates ?? [];
  const rate = rates.find((each) => each.rate === params.get("rate")) ?? rates[0];
  return (
    <>
      <h3>Over time{it.tag && <>, groups by <Said text={it.tag} most={60} /></>}</h3>
      <p><Said text={it.say} most={400} /></p>
      {it.feedback_loops?.filter((each) => each.suspected).map((each) => <p key={each.group} class="note warn">Feedback loop suspected for <Said text={each.group} most={60} />: <Said text={each.reason} most={300} /></p>)}
      {rates.length > 1 && rate && <div class="row choices"><Choice label="Rate" value={rate.rate} options={rates.map((each) => each.rate)} pick={(name) => set({ rate: name === rates[0]!.rate ? undefined : name })} /></div>}
      {rate && rate.groups.length > 0 && <OneRate rate={rate} />}
    </>
  );
}

function OneRate({ rate }: { rate: RateDays }) {
  const shown = rate.groups.slice(0, MOST);
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of groups over time">
        <table class="wide told">
          <thead><tr><th scope="col">Group</th><th scope="col">Its {words(rate.rate)}</th><th scope="col">Before, less that of others</th><th scope="col">Change</th><th scope="col" class="why">Why</th></tr></thead>
          <tbody>{rate.groups.map((each) => <Fragment key={each.group}><tr><th scope="row"><Said text={each.group} most={60} /></th><td class="nowrap"><Decided alarm={each.since !== null} word={each.since ? `moved since ${each.since}` : "no move shown"} /></td><td><Value it={each.before ?? undefined} bare /></td><td><Value it={each.change ?? undefined} bare /></td><td class="text why"><Said text={each.reason} most={300} /></td></tr><Below text={each.reason} span={4} /></Fragment>)}</tbody>
        </table>
      </div>
      {rate.days.length > 1 && <div class="multiples">{shown.map((each) => <Course key={each.group} days={rate.days} each={each} rate={rate.rate} />)}</div>}
      {rate.groups.length > MOST && <p class="note">{rate.groups.length - MOST} more groups are not drawn.</p>}
    </>
  );
}

function Course({ days, each, rate }: { days: string[]; each: GroupDays; rate: string }) {
  const dots: Dot[] = days.map((day, i) => { const found = each.gaps[i]; return { at: noon(day), value: found?.value ?? null, low: found?.low ?? null, high: found?.high ?? null, bad: each.since !== null && day >= each.since, title: `${day}: ${short(found?.value ?? null)}` }; });
  if (!dots.some((dot) => dot.value !== null)) return null;
  return (
    <div>
      <h3 class="plain"><Said text={each.group} most={60} />: {words(rate)} less that of all others</h3>
      <Graph dots={dots} band={[]} reference={each.before?.value ?? null} at={[noon(days[0]!) - 43200, noon(days[days.length - 1]!) + 43200]} tick={(at) => new Date(at * 1000).toISOString().slice(5, 10)} text={short} label={`${words(rate)} of ${brief(each.group, 60)} less that of all others, day by day; squares since it moved`} />
    </div>
  );
}
