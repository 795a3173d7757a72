// Versions of a model: how many records each has, and what its metric is.
import type { Versions as Answer } from "../models";
import { Said, Time } from "../parts";
import { set } from "../url";
import { Value } from "./model_performance";
import { Choice } from "./models";

export function Versions({ it }: { it: Answer }) {
  return (
    <>
      <p class="say"><bdi>{it.say}</bdi></p>
      {it.metrics.length > 0 && <div class="row choices"><Choice label="Metric" value={it.metric} options={it.metrics} pick={(metric) => set({ metric })} /></div>}
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of versions">
        <table>
          <thead><tr><th scope="col">Version</th><th scope="col" class="num">Records</th><th scope="col">First seen</th><th scope="col">Last seen</th><th scope="col">{it.metric ? `Mean ${it.metric}`.slice(0, 60) : "Metric"}</th><th scope="col" class="num">Rows</th></tr></thead>
          <tbody>{it.rows.map((row) => <tr key={row.version}><th scope="row">{row.version ? <Said text={row.version} most={60} /> : "(no version)"}</th><td class="num">{row.rows.toLocaleString("en")}</td><td><Time at={row.first_time} /></td><td><Time at={row.last_time} /></td><td><Value it={row.value} bare /></td><td class="num">{row.value.n.toLocaleString("en")}</td></tr>)}</tbody>
        </table>
      </div>
    </>
  );
}
