// Behaviour: how sure a model is, how much it says, what it refuses, and what its answers rest on; now beside before.
import { Fragment } from "preact";
import type { Attributed, Behaviour as Answer, Measure } from "../models";
import { Said } from "../parts";
import { Below, Decided, decided } from "./model_drift";
import { Overlay } from "./model_overlay";
import { short } from "./model_performance";

const percent = (share: number | null): string => (share === null ? "–" : `${(100 * share).toFixed(Math.abs(share) < 0.1 ? 1 : 0)} %`);
const shown = (it: Measure | null) => (it === null || it.value === null ? <>–</> : <>{percent(it.value)}{it.low !== null && it.high !== null && <span class="note"> ({percent(it.low)} to {percent(it.high)})</span>}</>);

export function Behaviour({ it }: { it: Answer }) {
  const refusal = it.rows.find((row) => row.id === "refusal");
  return (
    <>
      <p class="say"><bdi>{it.say}</bdi></p>
      {(it.rows.length > 0 || it.refusal) && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of behaviour">
          <table class="wide told">
            <thead><tr><th scope="col">Behaviour</th><th scope="col">Decision</th><th scope="col" class="num">PSI</th><th scope="col" class="why">Why</th></tr></thead>
            <tbody>
              {it.rows.map((row) => <Fragment key={row.id}><tr><th scope="row"><Said text={row.name} most={60} /></th><td class="nowrap"><Decided alarm={row.alarm} word={decided(row)} /></td><td class="num">{short(row.psi)}</td><td class="text why">{row.id === "refusal" && it.refusal && <>{percent(it.refusal.current.value)} of answers, {percent(it.refusal.reference.value)} in the reference; </>}<Said text={row.reason} most={300} /></td></tr><Below text={row.reason} span={3} /></Fragment>)}
              {it.refusal && !refusal && <tr><th scope="row">refusal</th><td>–</td><td class="num">–</td><td class="text why">{percent(it.refusal.current.value)} of answers; the reference tells of none</td></tr>}
            </tbody>
          </table>
        </div>
      )}
      <div class="multiples">
        {it.overlays.map((each) => <div key={each.feature}><Overlay it={each} /></div>)}
        {it.refusal && <div><Refusals now={it.refusal.current} before={it.refusal.reference} /></div>}
      </div>
      {it.attributions.length > 0 && <Attributions rows={it.attributions} />}
    </>
  );
}

/** Shares with their intervals on one scale. */
function Refusals({ now, before }: { now: Measure; before: Measure }) {
  const most = Math.max(0.01, now.high ?? now.value ?? 0, before.high ?? before.value ?? 0);
  const at = (share: number): string => `${(100 * share) / most}%`;
  return (
    <>
      <h3>refusal, share of answers</h3>
      <table class="bars">
        <thead><tr><th scope="col">When</th><th scope="col" class="wide">Share with its interval</th><th scope="col">Refused</th></tr></thead>
        <tbody>{([["reference", before, "was-bar"], ["now", now, "now-bar"]] as const).map(([name, each, look]) => (
          <tr key={name}>
            <th scope="row">{name}<span class="note">{each.n.toLocaleString("en")} answers</span></th>
            <td class="wide"><svg width="100%" height="16" aria-hidden="true"><rect class={look} x="0" y="2" width={at(each.value ?? 0)} height="10" />{each.low !== null && each.high !== null && <line class="reach" x1={at(each.low)} x2={at(each.high)} y1="14" y2="14" />}</svg></td>
            <td>{shown(each)}</td>
          </tr>
        ))}</tbody>
      </table>
    </>
  );
}

function Attributions({ rows }: { rows: Attributed[] }) {
  const place = (row: Attributed) => {
    if (row.place === null) return <>gone, was {row.place_before}</>;
    if (row.place_before === null) return <>{row.place}, new</>;
    return row.place === row.place_before ? <>{row.place}</> : <>{row.place}, was {row.place_before} <span aria-hidden="true">{row.place < row.place_before ? "↑" : "↓"}</span></>;
  };
  return (
    <>
      <h3>What answers rest on: share of each feature in all attributions</h3>
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of attributions">
        <table class="wide told">
          <thead><tr><th scope="col">Feature</th><th scope="col">Place</th><th scope="col">Now</th><th scope="col" class="why">Reference</th><th scope="col">Decision</th><th scope="col" class="why">Why</th></tr></thead>
          <tbody>{rows.map((row) => (
            <Fragment key={row.feature}><tr><th scope="row"><Said text={row.feature} most={60} /></th><td class="nowrap">{place(row)}</td><td class="nowrap">{shown(row.current)}</td><td class="nowrap why">{shown(row.reference)}</td><td class="nowrap"><Decided alarm={row.alarm} word={decided(row)} /></td><td class="text why"><Said text={row.reason} most={300} /></td></tr><Below text={row.reason} span={4} /></Fragment>
          ))}</tbody>
        </table>
      </div>
    </>
  );
}
