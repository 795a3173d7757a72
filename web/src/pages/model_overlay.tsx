// One column over its reference: a number as a histogram with its table, anything else as bars by value.
import { Bars, Histogram } from "../graph";
import type { Overlay as Answer } from "../models";
import { Said } from "../parts";

export function Overlay({ it }: { it: Answer }) {
  if (!it.bars.length) return null;
  return (
    <>
      <h3><Said text={it.feature} most={80} />{it.said && `, by ${it.said}`}</h3>
      <p class="readout"><span><i class="key was-key" aria-hidden="true" />reference, {it.reference_n.toLocaleString("en")} rows</span><span><i class="key now-key" aria-hidden="true" />now, {it.n.toLocaleString("en")} rows</span></p>
      {it.edges.length > 0 ? <>
        <Histogram bars={it.bars} edges={it.edges} label="Share of rows by value, reference and now; the table below has the numbers" />
        <details class="as-table"><summary>Show as a table</summary><Bars bars={it.bars} label="Reference and now, bin by bin" /></details>
      </> : <Bars bars={it.bars} label="Reference and now, value by value" />}
    </>
  );
}
