// Models: which send records, and a model's page: performance, drift, segments, fairness, versions.
import { useRef } from "preact/hooks";
import { query } from "../api";
import { count, span } from "../format";
import { Lineage } from "../lineage";
import { useAsk } from "../live";
import type { Brief, Health, Judged, ModelList } from "../models";
import { A, Copy, Fault, Loading, Panel, Said, Time } from "../parts";
import { go, set, usePlace } from "../url";
import { Comparison } from "./model_ab";
import { Behaviour } from "./model_behaviour";
import { Incidents, InShort, KnownAtOnce } from "./model_brief";
import { HealthOfDays } from "./model_days";
import { Drift } from "./model_drift";
import { FairnessOverTime } from "./model_fairness_days";
import { Performance } from "./model_performance";
import { Quality } from "./model_quality";
import { Ranking } from "./model_ranking";
import { Fairness, Segments } from "./model_segments";
import { Versions } from "./model_versions";

const RANGES: Record<string, [string, number]> = { "24h": ["24 h", 86400], "7d": ["7 days", 7 * 86400], "30d": ["30 days", 30 * 86400] };
const ASKED = ["from", "to", "reference_from", "reference_to", "version", "feature", "by", "group", "metric"];
const share = (n: number, of: number): string => (of ? `${((100 * n) / of).toFixed(0)} %` : "–");
export const named = (model: string) => (model ? <Said text={model} most={80} /> : <>(no name)</>);

export function Models() {
  const { params } = usePlace();
  const model = params.get("model");
  return model === null ? <All /> : <One key={model} model={model} />;
}

function All() {
  const answer = useAsk<ModelList>("/api/models", 30);
  const rows = answer.data?.models;
  const judged = useAsk<Judged>("/api/health", 300);
  const health = new Map(judged.data?.entities.filter((each) => each.entity.kind === "model").map((each) => [each.entity.name, each]));
  return (
    <main id="main">
      <h1 tabIndex={-1}>Models</h1>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!rows ? !answer.error && <Loading what="models" /> : rows.length === 0 ? <FirstRecord /> : (
        <Panel title="Models that sent records" id="all-models" note="30 days">
          <div class="scroll" tabIndex={0} role="region" aria-label="Table of models">
            <table>
              <thead><tr><th scope="col">Model</th><th scope="col">Versions</th><th scope="col" class="num">Predictions</th><th scope="col" class="num">With truth</th><th scope="col">Last seen</th>{health.size > 0 && <th scope="col">Health of {judged.data!.day}</th>}</tr></thead>
              <tbody>{rows.map((row) => (
                <tr key={row.model}>
                  <th scope="row"><A to={`/models?model=${encodeURIComponent(row.model)}`}>{named(row.model)}</A></th>
                  <td class="text">{row.versions.slice(0, 5).map((each, i) => <span key={each}>{i > 0 && ", "}{each ? <Said text={each} most={40} /> : "(no version)"}</span>)}{row.version_count > 5 && ` and ${row.version_count - 5} more`}</td>
                  <td class="num">{row.rows.toLocaleString("en")}</td><td class="num">{share(row.with_truth, row.rows)}</td><td><Time at={row.last_time} /></td>{health.size > 0 && <td class="nowrap">{worth(health.get(row.model))}</td>}
                </tr>
              ))}</tbody>
            </table>
          </div>
        </Panel>
      )}
    </main>
  );
}

const worth = (day: Judged["entities"][number] | undefined): string => (!day || day.score === null ? "–" : `${day.score.toFixed(0)} of 100, ${day.word}`);

function FirstRecord() {
  const base = location.origin;
  const sdk = `from tocsin import sdk\n\nsdk.configure(url="${base}")  # with keys: key="KEY" of the scope ingest\nsdk.log(prediction_id="order-42", model="fraud", version="7", prediction="ok", score=0.93,\n        features={"amount": 12.5, "country": "DE"}, tags={"region": "eu"})\nsdk.truth("order-42", "fraud")  # when it is known, months later too\nsdk.flush()`;
  const rest = `curl -H 'Content-Type: application/x-ndjson' ${base}/v1/records --data-binary '{"prediction_id": "order-42", "model": "fraud", "version": "7", "prediction": "ok", "score": 0.93, "features": {"amount": 12.5}, "tags": {"region": "eu"}}'`;
  return (
    <Panel title="Send a record" id="send-record" note="no model has sent any in 30 days">
      <h3>From Python</h3>
      <Copy text={sdk} label="Python that logs a prediction" />
      <h3>From anywhere</h3>
      <Copy text={rest} label="a request with one record" />
      <h3>From a file</h3>
      <Copy text="tocsin import records predictions.parquet" label="command that imports records" />
      <p class="note">A record is one prediction. Features show drift, tags make segments and groups, versions are compared; truth and feedback join by <code>prediction_id</code> whenever they come.</p>
    </Panel>
  );
}

const rangeOf = (params: URLSearchParams): string => {
  const found = params.get("range") ?? "24h";
  return Object.hasOwn(RANGES, found) ? found : "24h";
};

function One({ model }: { model: string }) {
  const { params } = usePlace();
  const range = rangeOf(params);
  const asked: Record<string, string | number | undefined> = Object.fromEntries(ASKED.map((name) => [name, params.get(name) ?? undefined]));
  if (!asked["from"]) asked["last_s"] = RANGES[range]![1];
  let url = query(`/api/models/${encodeURIComponent(model)}`, asked);
  for (const each of params.getAll("segment")) url += `&segment=${encodeURIComponent(each)}`;
  const answer = useAsk<Health>(url, 60);
  // while a choice is computed, what was there stays, so that the page does not jump
  const held = useRef<Health | undefined>(undefined);
  if (answer.data) held.current = answer.data;
  const it = answer.data ?? (answer.error ? undefined : held.current);
  const brief = useAsk<Brief>(it || answer.error ? null : query(`/api/models/${encodeURIComponent(model)}`, { ...pick(asked, ["from", "to", "last_s"]), brief: "true" }), 3600);
  return (
    <main id="main">
      <p class="crumbs"><A to="/models">← all models</A></p>
      <h1 tabIndex={-1}>{named(model)}</h1>
      <div class="row choices">
        <span class="choice" role="group" aria-label="Span of time">{Object.entries(RANGES).map(([key, [name]]) => <button type="button" key={key} class="btn small" aria-pressed={!params.has("from") && key === range} onClick={() => set({ range: key === "24h" ? undefined : key, from: undefined, to: undefined })}>{name}</button>)}</span>
        {it && it.all_versions.length > 1 && <Choice label="Version" value={params.get("version") ?? ""} options={it.all_versions.filter(Boolean)} all="all versions" pick={(version) => set({ version })} />}
        {it && <SegmentChoice tags={it.names.tags} />}
        {it && !answer.data && <Loading what="your choice" />}
      </div>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {answer.error && (params.has("segment") || params.has("version")) && <p><button type="button" class="btn" onClick={() => go(`/models?model=${encodeURIComponent(model)}`)}>Show all rows</button></p>}
      {!it ? !answer.error && <>{brief.data && <KnownAtOnce it={brief.data} />}<Loading what="the model; this computes for a moment" /></> : it.current.rows === 0 ? (
        <Panel title="No records in this time" id="none"><p class="quiet">The last one came <Time at={it.last_time} />. Choose a longer time.</p></Panel>
      ) : <Sections it={it} />}
    </main>
  );
}

const pick = (from: Record<string, string | number | undefined>, names: string[]) => Object.fromEntries(names.map((name) => [name, from[name]]));

function Sections({ it }: { it: Health }) {
  const [cur, ref] = [it.current, it.reference];
  const sampled = (side: { rows: number; of: number }): string => (side.of > side.rows ? `${side.rows.toLocaleString("en")} of ${count(side.of, "record")}, sampled by the hash of their ids` : count(side.rows, "record"));
  return (
    <>
      <p class="note">{sampled(cur)} since <Time at={cur.from} />, {ref.rows ? <>compared with {sampled(ref)} of <Time at={ref.from} /> to <Time at={ref.to} /> ({ref.how})</> : "and no older ones to compare with"}.{cur.rows < 100 && " With so few rows intervals are wide, and little can be decided."}</p>
      {it.notes.length > 0 && <ul class="list note">{it.notes.map((each) => <li key={each}><bdi>{each}</bdi></li>)}</ul>}
      <Incidents rows={it.incidents} from={it.from} to={it.to} />
      <InShort it={it} />
      <Panel title="Performance" id="performance" note={it.performance ? `in buckets of ${span(it.performance.step_s)}` : undefined}>{it.performance ? <Performance it={it.performance} /> : <p class="quiet">There is no performance to measure: the records hold no class, number or score that could be right or wrong. Texts are judged by feedback, under Versions.</p>}</Panel>
      {it.ranking && <Panel title="Ranking" id="ranking" note={`in buckets of ${span(it.ranking.step_s)}`}><Ranking it={it.ranking} /></Panel>}
      <Panel title="Drift" id="drift">{it.lineage.length > 0 && <div class="note">Live drift is judged by a reference from <Lineage origins={it.lineage} /></div>}{it.drift ? <Drift it={it.drift} laws={it.laws} /> : <p class="quiet">There is no reference yet: drift shows when older records exist.</p>}</Panel>
      {it.behaviour && <Panel title="Behaviour" id="behaviour"><Behaviour it={it.behaviour} /></Panel>}
      {it.quality && <Panel title="Data quality" id="quality"><Quality it={it.quality} /></Panel>}
      {it.segments && <Panel title="Segments" id="segments"><Segments it={it.segments} tags={Object.keys(it.names.tags)} /></Panel>}
      {it.fairness && <Panel title="Fairness" id="fairness"><Fairness it={it.fairness} tags={Object.keys(it.names.tags)} />{it.fairness.group && it.fairness.able !== false && <FairnessOverTime model={it.model} group={it.fairness.group} />}</Panel>}
      {it.versions && <Panel title="Versions" id="versions"><Versions it={it.versions} /></Panel>}
      <Comparison it={it} />
      <HealthOfDays model={it.model} />
    </>
  );
}

/** One of some texts from records, as a list to choose from. */
export function Choice({ label, value, options, all, pick }: { label: string; value: string; options: string[]; all?: string; pick: (value: string | undefined) => void }) {
  return (
    <label class="pick">{label}
      <select value={value} aria-label={label} onChange={(event) => pick(event.currentTarget.value || undefined)}>
        {all !== undefined && <option value="">{all}</option>}
        {options.map((each) => <option key={each} value={each}>{each.slice(0, 80)}</option>)}
      </select>
    </label>
  );
}

function SegmentChoice({ tags }: { tags: Record<string, string[]> }) {
  const { params } = usePlace();
  const now = params.get("segment") ?? "";
  const options = Object.entries(tags).filter(([tag]) => tag !== "version").flatMap(([tag, values]) => values.map((value) => `${tag}=${value}`));
  if (!options.length && !now) return null;
  return <Choice label="Segment" value={now} options={now && !options.includes(now) ? [now, ...options] : options} all="all rows" pick={(segment) => set({ segment })} />;
}
