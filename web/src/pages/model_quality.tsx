// Data quality: what the reference promises of features, and which records break it.
import { Fragment } from "preact";
import { count } from "../format";
import type { Quality as Answer } from "../models";
import { Said } from "../parts";
import { Below, Decided } from "./model_drift";
import { short } from "./model_performance";

export function Quality({ it }: { it: Answer }) {
  return (
    <>
      <p class="say"><bdi>{it.say}</bdi></p>
      {it.rows.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of violations">
          <table class="wide told">
            <thead><tr><th scope="col">Feature</th><th scope="col" class="why">What</th><th scope="col">Judged</th><th scope="col" class="num">Rows</th><th scope="col" class="num why">Usual</th><th scope="col" class="why">In words</th></tr></thead>
            <tbody>{it.rows.map((row) => (
              <Fragment key={row.feature + row.fault}><tr>
                <th scope="row"><Said text={row.feature} most={60} /></th><td class="nowrap why">{row.fault.replaceAll("_", " ")}</td>
                <td class="nowrap"><Decided alarm={row.alarm} word={row.alarm ? "broken" : "may be chance"} /></td>
                <td class="num">{row.count.toLocaleString("en")} of {row.rows.toLocaleString("en")}</td><td class="num why">{short(row.expected)}</td>
                <td class="text why"><Said text={row.said} most={300} /></td>
              </tr><Below text={`${row.fault.replaceAll("_", " ")}: ${row.said}`} span={3} /></Fragment>
            ))}</tbody>
          </table>
        </div>
      )}
      {it.more > 0 && <p class="note">{it.more} more are not listed.</p>}
      <p class="note">{count(it.checked, "feature")} of the reference checked for type, range, categories, missing, constant and stuck values; a single row out of range is to be expected now and then.</p>
    </>
  );
}
