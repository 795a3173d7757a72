// Segments and groups: where a model does worse, and whether it treats groups alike.
import type { Fairness as Groups, Segments as Answer, Slice } from "../models";
import { Said } from "../parts";
import { go, set } from "../url";
import { short, Value } from "./model_performance";
import { Choice } from "./models";

const WORD = { held: "kept", violated: "broken", unclear: "can't tell", undefined: "not defined" } as const;

export function Segments({ it, tags }: { it: Answer; tags: string[] }) {
  return (
    <>
      <p class="say"><bdi>{it.say}</bdi></p>
      {it.worst.length > 0 && <Table rows={it.worst} loss={it.loss} label="Table of worst slices" worst />}
      {tags.length > 0 && it.by && it.rows.length > 0 && <div class="row choices"><Choice label="All values of" value={it.by} options={tags} pick={(by) => set({ by })} /></div>}
      {it.rows.length > 0 && <Table rows={it.rows} loss={it.loss} label="Table of segments" />}
      {it.more > 0 && <p class="note">{it.more} smaller values are not listed.</p>}
      {it.tested > 0 && <p class="note">{it.tested} slices of one or two tags were tested, and intervals and p are corrected for all of them.{it.left_out.length > 0 && <> Left out: <Said text={it.left_out.join("; ")} />.</>}</p>}
    </>
  );
}

function Table({ rows, loss, label, worst = false }: { rows: Slice[]; loss: string; label: string; worst?: boolean }) {
  const into = (row: Slice): void => {
    const params = new URLSearchParams(location.search);
    params.delete("segment");
    for (const [tag, value] of row.where) if (tag === "version") params.set("version", value); else params.append("segment", `${tag}=${value}`);
    go(`/models?${params.toString()}`);
  };
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead><tr><th scope="col">Segment</th><th scope="col">{loss[0]!.toUpperCase() + loss.slice(1)}</th><th scope="col">Of the rest</th><th scope="col">{worst ? "Worse by" : "Difference"}</th><th scope="col" class="num">Rows with truth</th></tr></thead>
        <tbody>{rows.map((row) => (
          <tr key={row.name}>
            <th scope="row"><button type="button" class="btn small" title="show only these rows" onClick={() => into(row)}><Said text={row.name} most={80} /></button></th>
            <td><Value it={row.mean} /></td><td><Value it={row.rest} bare /></td><td><Value it={row.excess} bare />{!worst && row.n < 30 && <span class="note"> too few to tell</span>}</td>
            <td class="num">{row.n.toLocaleString("en")}{row.records !== undefined && ` of ${row.records.toLocaleString("en")}`}</td>
          </tr>
        ))}</tbody>
      </table>
    </div>
  );
}

export function Fairness({ it, tags }: { it: Groups; tags: string[] }) {
  return (
    <>
      <p class="say"><bdi>{it.say}</bdi></p>
      {tags.length > 0 && it.able !== false && <div class="row choices"><Choice label="Groups by" value={it.group} options={tags} all="choose a tag" pick={(group) => set({ group })} /></div>}
      {it.gaps && <div class="scroll" tabIndex={0} role="region" aria-label="Table of gaps">
        <table>
          <thead><tr><th scope="col">Criterion</th><th scope="col">Limit</th><th scope="col">Why</th></tr></thead>
          <tbody>{it.gaps.map((gap) => (
            <tr key={gap.criterion}><th scope="row">{gap.criterion.replaceAll("_", " ")}</th><td><span class={gap.judgement === "violated" ? "tag warn" : "tag"}>{WORD[gap.judgement]}</span></td><td class="text">{gap.lower_group && gap.higher_group && <><Said text={gap.lower_group} most={60} /> and <Said text={gap.higher_group} most={60} />: </>}<Said text={gap.reason || gap.note || ""} most={300} /></td></tr>
          ))}</tbody>
        </table>
      </div>}
      {it.groups && <div class="scroll" tabIndex={0} role="region" aria-label="Table of groups">
        <table>
          <thead><tr><th scope="col">Group</th><th scope="col" class="num">Rows</th><th scope="col">Chosen</th><th scope="col">True positive rate</th><th scope="col">False positive rate</th><th scope="col">Truth less score</th></tr></thead>
          <tbody>{it.groups.map((each) => (
            <tr key={each.group}><th scope="row"><Said text={each.group} most={60} />{it.too_small?.includes(each.group) && <span class="note">too few rows to judge</span>}</th><td class="num">{each.n.toLocaleString("en")}</td><td><Value it={each.selection_rate} bare /></td><td><Value it={each.true_positive_rate} bare /></td><td><Value it={each.false_positive_rate} bare /></td><td>{each.calibration.value === null ? short(null) : <Value it={each.calibration} bare />}</td></tr>
          ))}</tbody>
        </table>
        </div>}
      {it.gaps && <p class="note">Intervals hold for all groups at once; a limit counts as broken only where the whole interval lies beyond it.</p>}
    </>
  );
}
