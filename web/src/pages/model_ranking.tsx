// Models that rank: clicks and the order of lists, over time and beside the reference.
import { count, moment } from "../format";
import { Graph, type Dot } from "../graph";
import type { Ranking as Answer } from "../models";
import { Time } from "../parts";
import { set, usePlace } from "../url";
import { measureName, short, Value } from "./model_performance";

export function Ranking({ it }: { it: Answer }) {
  const { params } = usePlace();
  const wanted = params.get("ranked") ?? "";
  const name = it.measures.includes(wanted) ? wanted : it.measures[0] ?? "";
  const dots: Dot[] = it.buckets.map((each) => {
    const found = each.values[name];
    return { at: (Date.parse(each.from) + Date.parse(each.to)) / 2000, value: found?.value ?? null, low: found?.low ?? null, high: found?.high ?? null, title: `${moment(new Date(each.from), new Date())}: ${short(found?.value ?? null)}, ${count(each.rows, "row")}` };
  });
  const ends = it.buckets.map((each) => Date.parse(each.to) / 1000);
  return (
    <>
      <p class={it.reasons.length ? "say bad" : "say"}>{it.say}</p>
      {it.notes.map((each) => <p key={each} class="note">{each}.</p>)}
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of ranking measures">
        <table>
          <thead><tr><th scope="col">Measure</th><th scope="col">Now</th><th scope="col">Reference</th></tr></thead>
          <tbody>{it.measures.map((each) => (
            <tr key={each} class={each === name ? "current" : ""}>
              <th scope="row"><button type="button" class="btn small" aria-pressed={each === name} onClick={() => set({ ranked: each === it.measures[0] ? undefined : each })}>{measureName(each)}</button></th>
              <td><Value it={it.current[each]} /></td><td><Value it={it.reference[each]} /></td>
            </tr>
          ))}</tbody>
        </table>
      </div>
      {dots.some((each) => each.value !== null) && <>
        <h3>{measureName(name)} over time</h3>
        <Graph dots={dots} band={[]} reference={it.reference[name]?.value ?? null} at={[Date.parse(it.buckets[0]!.from) / 1000, ends[ends.length - 1]!]} tick={(at) => moment(new Date(at * 1000), new Date())} text={short} label={`${measureName(name)} over time; the table below has the numbers`} />
        <p class="readout"><span><i class="key spot" aria-hidden="true" />interval of 95 %</span>{it.reference[name] && <span><i class="key dashed" aria-hidden="true" />reference</span>}</p>
        <details class="as-table"><summary>Show as a table</summary>
          <div class="scroll" tabIndex={0} role="region" aria-label="Table of ranking over time">
            <table>
              <thead><tr><th scope="col">From</th><th scope="col" class="num">Rows</th><th scope="col">Value</th></tr></thead>
              <tbody>{it.buckets.map((each) => <tr key={each.from}><th scope="row"><Time at={each.from} /></th><td class="num">{each.rows}</td><td><Value it={each.values[name]} bare /></td></tr>)}</tbody>
            </table>
          </div>
        </details>
      </>}
    </>
  );
}
