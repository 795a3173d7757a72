// Versions of a model, and those that run side by side compared by a test that may be looked at any time.
import { Graph, type Dot } from "../graph";
import type { Comparison, Verdict, Versions as Answer } from "../models";
import { Said, Time } from "../parts";
import { set, setAll, usePlace } from "../url";
import { short, Value } from "./model_performance";
import { Choice } from "./models";

const WORD: Record<string, string> = { better: "better", worse: "worse", undecided: "not decided", ratio_mismatch: "the split is wrong" };
const version = (name: string) => (name ? <Said text={name} most={60} /> : <>(no version)</>);
const signed = (value: number | null): string => (value === null ? "open" : `${value > 0 ? "+" : ""}${short(value)}`);

export function Versions({ it }: { it: Answer }) {
  const names = it.rows.map((row) => row.version);
  const pair = it.comparison;
  const arms = pair ? [pair.control, ...pair.treatments.map((each) => each.treatment)] : [];
  return (
    <>
      <p class="say"><bdi>{it.say}</bdi></p>
      <div class="row choices">
        {it.metrics.length > 0 && <Choice label="Metric" value={it.metric} options={it.metrics} pick={(metric) => set({ metric })} />}
        {pair && names.length > 1 && <Choice label="Control" value={pair.control} options={names.filter(Boolean)} pick={(control) => setAll({ control: control ? [control] : [], treatment: arms.filter((each) => each && each !== control) })} />}
        {pair && <Split rows={arms.length} />}
      </div>
      {names.length > 2 && pair && <Arms names={names} arms={arms} control={pair.control} />}
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of versions">
        <table>
          <thead><tr><th scope="col">Version</th><th scope="col" class="num">Records</th><th scope="col">First seen</th><th scope="col">Last seen</th><th scope="col">{it.metric ? `Mean ${it.metric}`.slice(0, 60) : "Metric"}</th><th scope="col" class="num">Rows</th></tr></thead>
          <tbody>{it.rows.map((row) => <tr key={row.version}><th scope="row">{version(row.version)}{row.version === pair?.control && <span class="note">control</span>}</th><td class="num">{row.rows.toLocaleString("en")}</td><td><Time at={row.first_time} /></td><td><Time at={row.last_time} /></td><td><Value it={row.value} bare /></td><td class="num">{row.value.n.toLocaleString("en")}</td></tr>)}</tbody>
        </table>
      </div>
      {pair && <Compared it={pair} arms={arms} />}
      {it.caution?.map((each) => <p key={each} class="note">{each}</p>)}
    </>
  );
}

/** Which versions are treatments; the last one can't be taken away. */
function Arms({ names, arms, control }: { names: string[]; arms: string[]; control: string }) {
  const turn = (name: string): void => {
    const chosen = arms.filter((each) => each !== control && each);
    const next = chosen.includes(name) ? chosen.filter((each) => each !== name) : [...chosen, name];
    if (next.length) setAll({ control: control ? [control] : [], treatment: next, ratio: [] });
  };
  return (
    <div class="row choices"><span class="choice" role="group" aria-label="Treatments"><span class="pick">Treatments</span>{names.filter((each) => each && each !== control).map((each) => <button type="button" key={each} class="btn small" aria-pressed={arms.includes(each)} onClick={() => turn(each)}><Said text={each} most={40} /></button>)}</span></div>
  );
}

function Split({ rows }: { rows: number }) {
  const { params } = usePlace();
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    set({ ratio: String(new FormData(event.currentTarget as HTMLFormElement).get("ratio") ?? "").trim() || undefined });
  };
  return (
    <form class="pick" onSubmit={submit}>
      <label class="pick">Planned split<input class="tiny" name="ratio" key={params.get("ratio") ?? ""} defaultValue={params.get("ratio") ?? ""} placeholder={Array(rows).fill("1").join(":")} maxLength={60} autoComplete="off" /></label>
      <button type="submit" class="btn small">Test it</button>
    </form>
  );
}

function Compared({ it, arms }: { it: Comparison; arms: string[] }) {
  const { ratio } = it;
  return (
    <>
      <dl class="facts split">
        <div><dt>Split</dt><dd>{arms.map((each, i) => <span key={each} class="nowrap">{i > 0 && " : "}{(ratio.rows[i] ?? 0).toLocaleString("en")}</span>)} <span class="note">{ratio.planned ? <>planned {ratio.planned.join(" : ")}: {ratio.mismatch ? <b class="bad">does not fit (p {short(ratio.p_value)}), so no difference can be trusted</b> : "fits"}</> : "not checked"}</span></dd></div>
        <div><dt>Test</dt><dd>{it.method === "exact" ? "by bets on pairs of rows" : "by means and their spread"}<span class="note">level {100 * it.level} %{it.treatments.length > 1 && `, shared by ${it.treatments.length} treatments`}; may be looked at, and stopped, at any time</span></dd></div>
      </dl>
      <div class={it.treatments.length > 1 ? "multiples" : ""}>{it.treatments.map((each, i) => <Treatment key={each.treatment} it={it} each={each} at={i} />)}</div>
      <p class="readout"><span><i class="key band" aria-hidden="true" />difference of means and its interval, by rows that had come in</span><span><i class="key dashed" aria-hidden="true" />no difference</span></p>
    </>
  );
}

function Treatment({ it, each, at }: { it: Comparison; each: Verdict; at: number }) {
  const band: Dot[] = it.looks.map((look) => { const found = look.treatments[at]; return { at: look.rows, value: found?.difference ?? null, low: found?.lower ?? null, high: found?.upper ?? null, title: "" }; });
  const last = it.looks[it.looks.length - 1];
  return (
    <div>
      <h3>{version(each.treatment)} against {version(it.control)}</h3>
      <dl class="facts">
        <div><dt>Verdict</dt><dd><span class={each.outcome === "worse" || each.outcome === "ratio_mismatch" ? "tag warn" : "tag"}>{WORD[each.outcome] ?? each.outcome}</span>{each.decided_at !== null && each.outcome !== "ratio_mismatch" && <span class="note">certain since {each.decided_at.toLocaleString("en")} rows</span>}</dd></div>
        <div><dt>Difference of means</dt><dd>{signed(each.difference)}<span class="note">{signed(each.lower)} to {signed(each.upper)}, valid at any look</span></dd></div>
        <div><dt>p, valid at any time</dt><dd>{each.p_value === null ? "–" : each.p_value < 1e-4 ? "< 0.0001" : each.p_value.toPrecision(2)}</dd></div>
      </dl>
      {last && band.some((dot) => dot.value !== null) && <Graph dots={[]} band={band} reference={0} at={[0, last.rows]} tick={(rows) => Math.round(rows).toLocaleString("en")} text={signed} label="Difference of the means with its interval as rows came in; the last values stand above" />}
    </div>
  );
}
