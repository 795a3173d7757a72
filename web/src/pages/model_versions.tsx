// Versions of a model, and two of them compared by a test that may be looked at any time.
import { Graph, type Dot } from "../graph";
import type { Comparison, Versions as Answer } from "../models";
import { Said, Time } from "../parts";
import { set } from "../url";
import { short, Value } from "./model_performance";
import { Choice } from "./models";

const WORD: Record<string, string> = { better: "better", worse: "worse", undecided: "not decided", ratio_mismatch: "the split is wrong" };
const version = (name: string) => (name ? <Said text={name} most={60} /> : <>(no version)</>);
const signed = (value: number | null): string => (value === null ? "open" : `${value > 0 ? "+" : ""}${short(value)}`);

export function Versions({ it }: { it: Answer }) {
  const names = it.rows.map((row) => row.version);
  const pair = it.comparison;
  return (
    <>
      <p class="say"><bdi>{it.say}</bdi></p>
      <div class="row choices">
        {it.metrics.length > 0 && <Choice label="Metric" value={it.metric} options={it.metrics} pick={(metric) => set({ metric })} />}
        {pair && names.length > 2 && <>
          <Choice label="Control" value={pair.control} options={names.filter((each) => each && each !== pair.treatment)} pick={(control) => set({ control, treatment: pair.treatment })} />
          <Choice label="Treatment" value={pair.treatment} options={names.filter((each) => each && each !== pair.control)} pick={(treatment) => set({ treatment, control: pair.control })} />
        </>}
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of versions">
        <table>
          <thead><tr><th scope="col">Version</th><th scope="col" class="num">Records</th><th scope="col">First seen</th><th scope="col">Last seen</th><th scope="col">{it.metric ? `Mean ${it.metric}`.slice(0, 60) : "Metric"}</th><th scope="col" class="num">Rows</th></tr></thead>
          <tbody>{it.rows.map((row) => <tr key={row.version}><th scope="row">{version(row.version)}</th><td class="num">{row.rows.toLocaleString("en")}</td><td><Time at={row.first_time} /></td><td><Time at={row.last_time} /></td><td><Value it={row.value} bare /></td><td class="num">{row.value.n.toLocaleString("en")}</td></tr>)}</tbody>
        </table>
      </div>
      {pair && <Compared it={pair} />}
      {it.caution?.map((each) => <p key={each} class="note">{each}</p>)}
    </>
  );
}

function Compared({ it }: { it: Comparison }) {
  const band: Dot[] = it.looks.map((look) => ({ at: look.rows, value: look.difference, low: look.lower, high: look.upper, title: "" }));
  const last = it.looks[it.looks.length - 1];
  const rows = it.ratio.rows.map((each) => each.toLocaleString("en")).join(" : ");
  return (
    <>
      <h3>{version(it.treatment)} against {version(it.control)}</h3>
      <dl class="facts">
        <div><dt>Verdict</dt><dd>{WORD[it.outcome] ?? it.outcome}</dd></div>
        <div><dt>Difference of means</dt><dd>{signed(it.difference)} <span class="note">({signed(it.lower)} to {signed(it.upper)}, valid at any look, {100 - 100 * it.level} %)</span></dd></div>
        <div><dt>p, valid at any time</dt><dd>{it.p_value === null ? "–" : it.p_value < 1e-4 ? "< 0.0001" : it.p_value.toPrecision(2)}</dd></div>
        <div><dt>Split</dt><dd>{rows} {it.ratio.planned ? <span class="note">planned {it.ratio.planned.join(" : ")}: {it.ratio.mismatch ? "does not fit, so no difference can be trusted" : "fits"}</span> : <span class="note">not checked</span>}</dd></div>
      </dl>
      {last && band.some((each) => each.value !== null) && <>
        <Graph dots={[]} band={band} reference={0} at={[0, last.rows]} tick={(at) => Math.round(at).toLocaleString("en")} text={signed} label="Difference of the means with its interval as rows came in; the last values stand above" />
        <p class="readout"><span><i class="key band" aria-hidden="true" />difference and its interval, by rows</span><span><i class="key dashed" aria-hidden="true" />no difference</span></p>
      </>}
    </>
  );
}
