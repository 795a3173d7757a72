// A model in short: what each part of its page says, worst first to the eye, and what was known before anything was computed.
import type { Brief as Known, Health } from "../models";
import { Card, Panel, Said, Time } from "../parts";
import type { Summary } from "../api";

type Tone = "look" | "fine" | "none";
const GLYPH: Record<Tone, [string, string]> = { look: ["▲", "look at this"], fine: ["✓", "fine"], none: ["·", "not judged"] };

function linesOf(it: Health): [id: string, name: string, tone: Tone, text: string][] {
  const found: [string, string, Tone, string][] = [];
  const { performance: p, ranking, drift, behaviour, quality, segments, fairness, versions } = it;
  if (p) found.push(["performance", "Performance", p.reasons.length ? "look" : Object.keys(p.reference).length && (p.truth >= 30 || Object.keys(p.estimated).length) ? "fine" : "none", p.reasons.length ? `Worse than the reference: ${p.reasons[0]}.` : p.say]);
  if (ranking) found.push(["ranking", "Ranking", ranking.reasons.length ? "look" : Object.keys(ranking.reference).length ? "fine" : "none", ranking.say]);
  if (drift) found.push(["drift", "Drift", drift.rows.some((row) => row.alarm) ? "look" : drift.rows.some((row) => !row.reason.startsWith("not decided")) ? "fine" : "none", drift.say]);
  if (behaviour) found.push(["behaviour", "Behaviour", [...behaviour.rows, ...behaviour.attributions].some((row) => row.alarm) ? "look" : behaviour.rows.some((row) => !row.reason.startsWith("not decided")) ? "fine" : "none", behaviour.say]);
  if (quality) found.push(["quality", "Data quality", quality.alarms ? "look" : quality.checked && it.reference.rows >= 30 ? "fine" : "none", quality.say]);
  if (segments) found.push(["segments", "Segments", segments.worst.length ? "look" : segments.tested ? "fine" : "none", segments.say]);
  if (fairness) found.push(["fairness", "Fairness", fairness.gaps?.some((gap) => gap.judgement === "violated") ? "look" : fairness.gaps?.some((gap) => gap.judgement === "held") ? "fine" : "none", fairness.say]);
  if (versions) found.push(["versions", "Versions", "none", versions.say]);
  return found;
}

export function InShort({ it }: { it: Health }) {
  return (
    <Panel title="In short" id="short">
      <ul class="inshort">
        {linesOf(it).map(([id, name, tone, text]) => (
          <li key={id} class={tone}><span class="glyph" aria-hidden="true">{GLYPH[tone][0]}</span><a href={`#${id}`}>{name}</a><span><span class="sr">{GLYPH[tone][1]}: </span><Said text={text} most={240} /></span></li>
        ))}
      </ul>
    </Panel>
  );
}

/** Incidents about this model in the span that is looked at; a link takes the span along. */
export function Incidents({ rows, from, to }: { rows: Summary[]; from: string; to: string }) {
  if (!rows.length) return null;
  const span = `?from=${Math.floor(Date.parse(from) / 1000)}&to=${Math.ceil(Date.parse(to) / 1000)}`;
  return <Panel title="Incidents of this model in this time" id="model-incidents"><div class="cards">{rows.map((each) => <Card key={each.id} incident={each} current={false} from={span} />)}</div></Panel>;
}

/** What is known at once, while the rest is computed. */
export function KnownAtOnce({ it }: { it: Known }) {
  const rows = it.versions.reduce((sum, each) => sum + each.rows, 0);
  return (
    <>
      <Incidents rows={it.incidents} from={it.from} to={it.to} />
      <Panel title="What came" id="came" note={`last record ${new Date(it.last_time).toLocaleString("en-GB")}`}>
        <p class="say">{rows.toLocaleString("en")} predictions since <Time at={it.from} />. Performance, drift and the rest are being computed of them.</p>
        {it.versions.length > 0 && (
          <div class="scroll" tabIndex={0} role="region" aria-label="Table of versions that came">
            <table>
              <thead><tr><th scope="col">Version</th><th scope="col" class="num">Records</th><th scope="col">First seen</th><th scope="col">Last seen</th></tr></thead>
              <tbody>{it.versions.map((row) => <tr key={row.version}><th scope="row">{row.version ? <Said text={row.version} most={60} /> : "(no version)"}</th><td class="num">{row.rows.toLocaleString("en")}</td><td><Time at={row.first_time} /></td><td><Time at={row.last_time} /></td></tr>)}</tbody>
            </table>
          </div>
        )}
      </Panel>
    </>
  );
}
