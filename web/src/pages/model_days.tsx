// Health of a model day by day: the score, and the terms that cost most.
import { Graph, type Dot } from "../graph";
import { useAsk } from "../live";
import type { Day, Days as Answer, Judged, Term } from "../models";
import { Panel, Said } from "../parts";
import { short } from "./model_performance";

const MOST = 6;
const noon = (day: string): number => Date.parse(`${day}T12:00:00Z`) / 1000;

export function HealthOfDays({ model }: { model: string }) {
  // most models have no judged day yet: the list is asked first
  const all = useAsk<Judged>("/api/health", 300);
  const known = all.data?.entities.some((each) => each.entity.kind === "model" && each.entity.name === model);
  const own = useAsk<Answer>(known ? `/api/health/model/${encodeURIComponent(model)}` : null, 300);
  if (!all.data || (known && !own.data)) return null;
  const it = own.data;
  const last = it?.days[it.days.length - 1];
  return (
    <Panel title="Health by day" id="days" note={last ? `last judged: ${last.day}` : undefined}>
      {!it || !last ? <p class="quiet">No day of this model was judged yet: a day is judged at 06:00 UTC of the next one.</p> : <>
        <p class="say">{said(last)}</p>
        {it.days.length > 1 && <Course days={it.days} />}
        <Costs day={last} />
        {last.unmeasured.length > 0 && <p class="note">Nothing measures {last.unmeasured.join(", ")} of this model.</p>}
      </>}
    </Panel>
  );
}

const said = (day: Day): string => {
  if (day.score === null) return "The day could not be judged: nothing of it was measured.";
  const dear = day.terms.find((each) => (each.cost ?? 0) > 0);
  const open = day.at_worst < day.score - 0.5 ? ` It would be ${short(day.at_worst)} if all that was not measured were bad.` : "";
  return `${short(day.score)} of 100, ${day.word}${dear ? `; most was lost by ${dear.term.replaceAll("_", " ")} (${short(dear.cost)} points)` : "; nothing was lost"}.${open}`;
};

function Course({ days }: { days: Day[] }) {
  const dots: Dot[] = days.map((each) => ({ at: noon(each.day), value: each.score, low: null, high: null, bad: each.word === "bad" || each.word === "poor", title: `${each.day}: ${each.score === null ? "not judged" : `${short(each.score)}, ${each.word}`}` }));
  const band: Dot[] = days.map((each) => ({ at: noon(each.day), value: each.score, low: each.at_worst, high: each.score, title: "" }));
  if (!dots.some((each) => each.value !== null)) return null;
  return (
    <>
      <Graph dots={dots} band={band.filter((each) => each.value !== null)} reference={null} at={[noon(days[0]!.day) - 43200, noon(days[days.length - 1]!.day) + 43200]} tick={(at) => new Date(at * 1000).toISOString().slice(5, 10)} text={short} label="Score of each day, 0 to 100; the terms of the last one stand below" />
      <p class="readout"><span><i class="key spot" aria-hidden="true" />score of a day</span><span><i class="key out" aria-hidden="true" />square: poor or bad</span><span><i class="key band" aria-hidden="true" />down to what it would be if all that was not measured were bad</span></p>
    </>
  );
}

function Costs({ day }: { day: Day }) {
  const rows = [...day.terms].sort((a, b) => (b.cost ?? -1) - (a.cost ?? -1)).slice(0, MOST);
  const value = (each: Term): string => (each.value === null ? "–" : `${short(each.value)}${each.unit ? ` ${each.unit}` : ""}`);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Table of what the day lost">
      <table>
        <thead><tr><th scope="col">Term</th><th scope="col" class="num">Cost</th><th scope="col" class="num">Value</th><th scope="col" class="num">Usual</th><th scope="col">Good to bad</th><th scope="col">Note</th></tr></thead>
        <tbody>{rows.map((each) => (
          <tr key={each.kind + each.term}><th scope="row"><Said text={each.term.replaceAll("_", " ")} most={60} /><span class="note">{each.kind}</span></th><td class="num">{each.cost === null ? "–" : `${short(each.cost)} of ${short(each.worth)}`}</td><td class="num">{value(each)}</td><td class="num">{short(each.usual)}</td><td class="nowrap">{each.good === null || each.bad === null ? "–" : `${short(each.good)} to ${short(each.bad)}`}</td><td class="text"><Said text={each.note} /></td></tr>
        ))}</tbody>
      </table>
    </div>
  );
}
