// Performance of a model: with truth where it came, estimated where it did not.
import { count, moment } from "../format";
import { Graph, type Dot } from "../graph";
import type { Bucket, Measure, Performance as Answer } from "../models";
import { Time } from "../parts";
import { set, usePlace } from "../url";

const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const NAMES: Record<string, string> = { f1: "F1", click_through_rate: "click-through rate", ndcg_at_10: "NDCG of the first 10", auc: "area under the curve", log_loss: "log loss", calibration_error: "calibration error", mae: "mean absolute error", rmse: "root mean squared error", mape: "mean relative error" };
export const measureName = (name: string): string => NAMES[name] ?? name.replaceAll("_", " ");
export const short = (value: number | null): string => (value === null ? "–" : digits.format(value));

/** A value with where it lies: `0.87 (0.85 to 0.89)`. */
export function Value({ it, bare = false }: { it: Measure | undefined; bare?: boolean }) {
  if (!it) return <>–</>;
  if (it.value === null) return <span class="note">{it.note || "not defined"}</span>;
  return <>{short(it.value)}{it.low !== null && it.high !== null && <span class="note"> ({short(it.low)} to {short(it.high)})</span>}{!bare && it.note && <span class="note"> {it.note}</span>}</>;
}

export function Performance({ it }: { it: Answer }) {
  const { params } = usePlace();
  const wanted = params.get("measure") ?? "";
  const name = it.measures.includes(wanted) ? wanted : it.measures[0] ?? "";
  return (
    <>
      <p class="say">{it.say}</p>
      {it.reasons.length > 0 && <p class="note warn">Worse than the reference: <bdi>{it.reasons.join("; ")}</bdi>. What moved stands under Drift.</p>}
      {it.worse.length > 0 && <p class="note">{`By itself worse: ${it.worse.length} of ${count(it.buckets.length, "bucket")}, last `}<Time at={it.worse[it.worse.length - 1]!.from} />.</p>}
      {it.notes.map((each) => <p key={each} class="note">{each[0]!.toUpperCase() + each.slice(1)}.</p>)}
      {it.measures.length === 0 ? <p class="quiet">Nothing to draw yet: send truth by <code>sdk.truth(prediction_id, value)</code>.</p> : <>
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of measures">
          <table>
            <thead><tr><th scope="col">Measure</th><th scope="col">With truth</th><th scope="col">Estimated without truth</th><th scope="col">Reference</th></tr></thead>
            <tbody>{it.measures.map((each) => (
              <tr key={each} class={each === name ? "current" : ""}>
                <th scope="row"><button type="button" class="btn small" aria-pressed={each === name} onClick={() => set({ measure: each === it.measures[0] ? undefined : each })}>{measureName(each)}</button></th>
                <td><Value it={it.realised[each]} /></td><td><Value it={it.estimated[each]} /></td><td><Value it={it.reference[each]} bare /></td>
              </tr>
            ))}</tbody>
          </table>
        </div>
        <Course it={it} name={name} />
      </>}
      {it.positive !== null && <p class="note">The positive class is <bdi>{it.positive}</bdi>.</p>}
    </>
  );
}

function Course({ it, name }: { it: Answer; name: string }) {
  const place = (each: Bucket): number => (Date.parse(each.from) + Date.parse(each.to)) / 2000;
  const told = (each: Bucket, kind: "realised" | "estimated"): Dot => {
    const found = each[kind][name];
    const truth = `truth for ${(100 * each.coverage).toFixed(0)} % of ${count(each.rows, "row")}`;
    return { at: place(each), value: found?.value ?? null, low: found?.low ?? null, high: found?.high ?? null, bad: each.reasons.some((reason) => reason.startsWith(kind)), title: `${moment(new Date(each.from), new Date())}: ${short(found?.value ?? null)} (${short(found?.low ?? null)} to ${short(found?.high ?? null)}), ${truth}` };
  };
  const dots = it.buckets.map((each) => told(each, "realised"));
  const band = it.buckets.map((each) => told(each, "estimated"));
  if (![...dots, ...band].some((each) => each.value !== null)) return <p class="quiet">No bucket of time has a value of this measure yet.</p>;
  const at: [number, number] = [Date.parse(it.buckets[0]!.from) / 1000, Date.parse(it.buckets[it.buckets.length - 1]!.to) / 1000];
  const short_span = at[1] - at[0] < 3 * 86400;
  const tick = (value: number): string => { const date = new Date(value * 1000); return short_span ? moment(date, new Date()) : moment(date, new Date()).split(" ").slice(0, 2).join(" "); };
  return (
    <>
      <h3>{measureName(name)} over time</h3>
      <Graph dots={dots} band={band} reference={it.reference[name]?.value ?? null} at={at} tick={tick} text={short} label={`${measureName(name)} over time; the table below has the numbers`} />
      <p class="readout"><span><i class="key spot" aria-hidden="true" />with truth, interval of 95 %</span><span><i class="key out" aria-hidden="true" />square: worse than the reference</span>{band.some((each) => each.value !== null) && <span><i class="key band" aria-hidden="true" />estimated{it.buckets.some((each) => each.corrected) && ", corrected by the truth of earlier buckets"}</span>}{it.reference[name]?.value !== undefined && <span><i class="key dashed" aria-hidden="true" />reference</span>}</p>
      <details class="as-table"><summary>Show as a table</summary>
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of buckets">
          <table>
            <thead><tr><th scope="col">From</th><th scope="col" class="num">Rows</th><th scope="col" class="num">Truth</th><th scope="col">With truth</th><th scope="col">Estimated</th><th scope="col">Judged</th></tr></thead>
            <tbody>{it.buckets.map((each) => <tr key={each.from}><th scope="row"><Time at={each.from} /></th><td class="num">{each.rows}</td><td class="num">{(100 * each.coverage).toFixed(0)} %</td><td><Value it={each.realised[name]} bare /></td><td><Value it={each.estimated[name]} bare /></td><td class="text">{each.reasons.join("; ")}</td></tr>)}</tbody>
          </table>
        </div>
      </details>
    </>
  );
}
