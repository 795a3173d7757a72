// A/B: versions, prompts or any other arms of a model, compared by a test that may be looked at, and stopped, any time.
import { query } from "../api";
import { Graph, type Dot } from "../graph";
import { useAsk } from "../live";
import type { Experiment, Health, Verdict } from "../models";
import { brief, Fault, Loading, Panel, Said, Time } from "../parts";
import { set, setAll, usePlace } from "../url";
import { short } from "./model_performance";
import { Choice } from "./models";

const WORD: Record<string, string> = { better: "better", worse: "worse", undecided: "not decided", ratio_mismatch: "the split is wrong" };
const VERSION = "version";
const signed = (value: number | null): string => (value === null ? "open" : `${value > 0 ? "+" : ""}${short(value)}`);

export function Comparison({ it }: { it: Health }) {
  const { params } = usePlace();
  const versions = it.versions;
  if (!versions) return null;
  const arm = params.get("arm") ?? VERSION;
  const chosen = params.getAll("only");
  const arms = chosen.length ? chosen : arm === VERSION ? versions.arms : [];
  // of versions those that ran side by side are named; of another tag the server takes all values
  const asked = versions.metric && (arm !== VERSION || arms.length > 1);
  let url = query(`/api/ab/${encodeURIComponent(it.model)}`, { arm, metric: versions.metric, control: params.get("control") ?? undefined, ratio: params.get("ratio") ?? undefined });
  for (const each of arms) url += `&only=${encodeURIComponent(each)}`;
  return (
    <Panel title="A/B" id="ab" note={versions.metric ? <>by <Said text={versions.metric} most={60} /></> : undefined}>
      {versions.metric && <Choice label="Arms by" value={arm} options={[VERSION, ...Object.keys(it.names.tags).filter((tag) => tag !== VERSION)]} pick={(tag) => setAll({ arm: tag && tag !== VERSION ? [tag] : [], only: [], control: [], ratio: [] })} />}
      {asked ? <Asked key={url} url={url} all={arm === VERSION ? versions.rows.map((row) => row.version).filter(Boolean) : it.names.tags[arm] ?? []} /> : <p class="quiet">{versions.metric ? "Nothing ran side by side by version. Log a second version, or choose the tag that tells the arms apart, such as a prompt or a variant." : "There is nothing to compare by: no truth, score or feedback has come yet."}</p>}
    </Panel>
  );
}

function Asked({ url, all }: { url: string; all: string[] }) {
  const answer = useAsk<Experiment>(url, 60);
  const it = answer.data;
  const { params } = usePlace();
  if (!it) return answer.error ? <><Fault error={answer.error} again={answer.again} />{(params.has("ratio") || params.has("only") || params.has("control")) && <p><button type="button" class="btn" onClick={() => setAll({ ratio: [], only: [], control: [] })}>Compare all arms, the split not stated</button></p>}</> : <Loading what="the comparison" />;
  const arms = it.arms.map((each) => each.arm);
  const planned = params.get("ratio");
  return (
    <>
      <InWords it={it} />
      <div class="row choices">
        <Choice label="Control" value={it.control} options={arms} pick={(control) => setAll({ control: control ? [control] : [], only: arms })} />
        <Split rows={arms.length} />
      </div>
      {all.length > 2 && <Arms all={all} arms={arms} control={it.control} />}
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of arms">
        <table>
          <thead><tr><th scope="col">Arm</th><th scope="col">Verdict</th><th scope="col" class="num">Rows</th><th scope="col" class="num">Known</th><th scope="col" class="num">Mean</th><th scope="col">Difference, valid at any look</th><th scope="col" class="num">p, valid at any time</th></tr></thead>
          <tbody>{it.arms.map((each, i) => {
            const found = it.treatments[i - 1];
            return <tr key={each.arm}><th scope="row"><Said text={each.arm} most={60} /></th><td class="nowrap">{i === 0 ? <span class="note">control</span> : found ? <Judged found={found} /> : "–"}</td><td class="num">{each.rows.toLocaleString("en")}</td><td class="num">{each.missing === undefined ? "–" : (each.rows - each.missing).toLocaleString("en")}</td><td class="num">{short(each.mean ?? null)}</td><td class="nowrap">{found ? <>{signed(found.difference)} <span class="note">({signed(found.lower)} to {signed(found.upper)})</span></> : "–"}</td><td class="num">{!found || found.p_value === null ? "–" : found.p_value < 1e-4 ? "< 0.0001" : found.p_value.toPrecision(2)}</td></tr>;
          })}</tbody>
        </table>
      </div>
      {it.ratio && <p class={it.ratio.mismatch ? "note warn" : "note"}>Split: {it.arms.map((each) => each.rows.toLocaleString("en")).join(" : ")}, planned {planned ? planned.replaceAll(":", " : ") : "evenly, since nothing else is stated"}: {it.ratio.mismatch ? `does not fit (p ${short(it.ratio.p_value)}), so no difference can be trusted until it is mended.` : "fits."}</p>}
      <div class={it.treatments.length > 1 ? "multiples" : ""}>{it.treatments.map((each, i) => <Course key={each.treatment} it={it} each={each} at={i} />)}</div>
      {it.treatments.length > 0 && <p class="readout"><span><i class="key band" aria-hidden="true" />difference of means and its interval at each look, by rows that had come in</span><span><i class="key dashed" aria-hidden="true" />no difference</span></p>}
      <p class="note">Records since <Time at={it.from} />, when the last of these arms began.{it.level !== undefined && ` The level is ${100 * it.level} %${it.treatments.length > 1 ? `, shared by ${it.treatments.length} treatments` : ""}; one may look, and stop, at any time.`}</p>
      {it.notes.map((each) => <p key={each} class="note"><Said text={each} most={300} /></p>)}
    </>
  );
}

/** What can be said of each treatment; of a wrong split only that. */
function InWords({ it }: { it: Experiment }) {
  const [first] = it.treatments;
  if (!first || it.ratio?.mismatch || it.treatments.length === 1) return <p class={it.ratio?.mismatch ? "say bad" : "say"}><bdi>{/^(no difference|rows|an arm)/.test(it.say) ? it.say[0]!.toUpperCase() + it.say.slice(1) : it.say}</bdi></p>;
  return <ul class="list">{it.treatments.map((each) => <li key={each.treatment}><span class="say"><b><Said text={each.treatment} most={60} /></b>: {each.outcome === "undecided" ? <Said text={each.reason} most={300} /> : <Said text={each.reason.slice(each.reason.startsWith(each.treatment) ? each.treatment.length + 1 : 0)} most={300} />}.</span></li>)}</ul>;
}

function Judged({ found }: { found: Verdict }) {
  const bad = found.outcome === "worse" || found.outcome === "ratio_mismatch";
  return <><span class={bad ? "tag warn" : "tag"}>{WORD[found.outcome] ?? found.outcome}</span>{found.decided_at !== null && found.outcome !== "ratio_mismatch" && <span class="note"> since {found.decided_at.toLocaleString("en")} rows</span>}</>;
}

/** Which arms take part beside the control; the last one can't be taken away. */
function Arms({ all, arms, control }: { all: string[]; arms: string[]; control: string }) {
  const turn = (name: string): void => {
    const next = arms.includes(name) ? arms.filter((each) => each !== name) : [...arms, name];
    if (next.length > 1) setAll({ control: [control], only: next, ratio: [] });
  };
  return (
    <div class="row choices"><span class="choice" role="group" aria-label="Treatments"><span class="pick">Treatments</span>{all.filter((each) => each !== control).slice(0, 20).map((each) => <button type="button" key={each} class="btn small" aria-pressed={arms.includes(each)} onClick={() => turn(each)}><Said text={each} most={40} /></button>)}</span></div>
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

function Course({ it, each, at }: { it: Experiment; each: Verdict; at: number }) {
  const band: Dot[] = it.looks.map((look) => { const found = look.treatments[at]; return { at: look.rows, value: found?.difference ?? null, low: found?.lower ?? null, high: found?.upper ?? null, title: "" }; });
  const last = it.looks[it.looks.length - 1];
  if (!last || band.filter((dot) => dot.value !== null).length < 2) return null;
  return (
    <div>
      <h3 class="plain"><Said text={each.treatment} most={60} /> against <Said text={it.control} most={60} /></h3>
      <Graph dots={[]} band={band} reference={0} at={[band[0]!.at, last.rows]} tick={(rows) => Math.round(rows).toLocaleString("en")} text={signed} label={`Difference of the means of ${brief(each.treatment, 60)} with its interval as rows came in; the last values stand above`} />
    </div>
  );
}
