// Drift: all features by effect, and one of them over its reference.
import { Bars } from "../graph";
import type { Drift as Answer, DriftRow } from "../models";
import { Said } from "../parts";
import { set } from "../url";
import { short } from "./model_performance";

const MOST = 40;
const chance = (p: number): string => (p >= 0.01 ? p.toFixed(2) : p >= 1e-6 ? p.toPrecision(1) : "< 0.000001");

export function Drift({ it }: { it: Answer }) {
  const bars = it.overlay;
  const shown = it.rows.slice(0, MOST);
  return (
    <>
      <p class="say"><bdi>{it.say}</bdi></p>
      {shown.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of features by effect">
          <table class="wide">
            <thead><tr><th scope="col">Feature</th><th scope="col">Decision</th><th scope="col" class="num">PSI</th><th scope="col">Band</th><th scope="col" class="num">p</th><th scope="col">Why</th></tr></thead>
            <tbody>{shown.map((row) => <Row key={row.id} row={row} current={row.name === bars?.feature} />)}</tbody>
          </table>
        </div>
      )}
      {it.rows.length > MOST && <p class="note">{it.rows.length - MOST} more moved less; the API lists all.</p>}
      {it.left_out.length > 0 && <details class="as-table"><summary>{it.left_out.length} take no part</summary><ul class="list note">{it.left_out.map((each) => <li key={each.name}><span><b><Said text={each.name} most={80} /></b>: <Said text={each.why} /></span></li>)}</ul></details>}
      {bars && bars.bars.length > 0 && <>
        <h3><Said text={bars.feature} most={80} />{bars.said && `, by ${bars.said}`}</h3>
        <p class="readout"><span><i class="key was-key" aria-hidden="true" />reference, {bars.reference_n.toLocaleString("en")} rows</span><span><i class="key now-key" aria-hidden="true" />now, {bars.n.toLocaleString("en")} rows</span></p>
        <Bars bars={bars.bars} label="Reference and now, bin by bin" />
      </>}
      <p class="note">A decision needs evidence that holds however often one looks (false in at most {100 * it.policy.level} of 100), and an effect of at least PSI {it.policy.min_effect}; p is valid at any time.</p>
    </>
  );
}

function Row({ row, current }: { row: DriftRow; current: boolean }) {
  return (
    <tr class={current ? "current" : ""}>
      <th scope="row"><button type="button" class="btn small" aria-pressed={current} onClick={() => set({ feature: row.name })}><Said text={row.name} most={60} /></button>{row.part === "output" && <span class="note">what the model says</span>}</th>
      <td class="nowrap">{row.alarm ? <span class="tag warn">moved</span> : <span class="tag">{row.reason.startsWith("not decided") ? "not decided" : "no move shown"}</span>}</td>
      <td class="num">{short(row.psi)}</td><td>{row.band ?? "–"}</td><td class="num">{chance(row.p_value)}</td>
      <td class="text"><Said text={[row.reason, ...row.notes].join("; ")} most={300} /></td>
    </tr>
  );
}
