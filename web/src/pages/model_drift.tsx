// Drift: which law moved, all features by effect, and one of them over its reference.
import type { Drift as Answer, DriftRow, Law } from "../models";
import { Said } from "../parts";
import { set } from "../url";
import { Overlay } from "./model_overlay";
import { short } from "./model_performance";

const MOST = 40;
export const chance = (p: number): string => (p >= 0.01 ? p.toFixed(2) : p >= 1e-6 ? p.toPrecision(1) : "< 0.000001");
const PART: Record<string, string> = { output: "what the model says", embedding: "vectors" };

export function Drift({ it, laws }: { it: Answer; laws: Law[] | null }) {
  const shown = it.rows.slice(0, MOST);
  return (
    <>
      <p class="say"><bdi>{it.say}</bdi></p>
      {laws && <Laws laws={laws} />}
      {shown.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of features by effect">
          <table class="wide told">
            <thead><tr><th scope="col">Feature</th><th scope="col">Decision</th><th scope="col" class="num">PSI</th><th scope="col" class="why">Band</th><th scope="col" class="num">p</th><th scope="col" class="why">Why</th></tr></thead>
            <tbody>{shown.map((row) => <Row key={row.id} row={row} current={row.name === it.overlay?.feature} />)}</tbody>
          </table>
        </div>
      )}
      {it.rows.length > MOST && <p class="note">{it.rows.length - MOST} more moved less; the API lists all.</p>}
      {it.left_out.length > 0 && <details class="as-table"><summary>{it.left_out.length} take no part</summary><ul class="list note">{it.left_out.map((each) => <li key={each.name}><span><b><Said text={each.name} most={80} /></b>: <Said text={each.why} /></span></li>)}</ul></details>}
      {it.overlay && <Overlay it={it.overlay} />}
      <p class="note">A decision needs evidence that holds however often one looks (false in at most {100 * it.policy.level} of 100), and an effect of at least PSI {it.policy.min_effect}; p is valid at any time.</p>
    </>
  );
}

const STATE = { moved: "moved", "no move shown": "no move shown", unknown: "not known" } as const;

/** Inputs, truths, and what leads from one to the other: they call for different answers. */
function Laws({ laws }: { laws: Law[] }) {
  return (
    <dl class="facts laws">
      {laws.map((each) => (
        <div key={each.law}><dt>{each.name[0]!.toUpperCase() + each.name.slice(1)} <span class="mono">{each.law}</span></dt><dd><Decided alarm={each.state === "moved"} word={STATE[each.state]} /><span class="note"><Said text={each.said} most={300} /></span></dd></div>
      ))}
    </dl>
  );
}

/** On a narrow screen the reason stands below its row, where the wide one has a column for it. */
export function Below({ text, span }: { text: string; span: number }) {
  return <tr class="narrow"><td class="note" colSpan={span}><Said text={text} most={300} /></td></tr>;
}

export function Decided({ alarm, word }: { alarm: boolean; word: string }) {
  return <span class={alarm ? "tag warn" : "tag"}>{word}</span>;
}

export const decided = (row: { alarm: boolean; reason: string }): string => (row.alarm ? "moved" : row.reason.startsWith("not decided") ? "not decided" : "no move shown");

function Row({ row, current }: { row: DriftRow; current: boolean }) {
  const why = [row.reason, ...row.notes].join("; ");
  return (
    <><tr class={current ? "current" : ""}>
      <th scope="row"><button type="button" class="btn small" aria-pressed={current} onClick={() => set({ feature: row.name })}><Said text={row.name} most={60} /></button>{PART[row.part] && <span class="note">{PART[row.part]}</span>}</th>
      <td class="nowrap"><Decided alarm={row.alarm} word={decided(row)} /></td>
      <td class="num">{short(row.psi)}</td><td class="why">{row.band ?? "–"}</td><td class="num">{chance(row.p_value)}</td>
      <td class="text why"><Said text={why} most={300} /></td>
    </tr><Below text={why} span={4} /></>
  );
}
