// The audit trail: who did what to what, when, in part or whole, and whether its chain holds.
import { query, type AuditEntry } from "../api";
import { Asked, Pick, RangeChoice, useRange, type Ranges } from "../fields";
import { count } from "../format";
import { useAsk } from "../live";
import { A, Fault, Labels, Loading, Panel, Said, Time } from "../parts";
import { set, usePlace } from "../url";

interface Answer { entries: AuditEntry[]; next: number | null; actions: string[] }
interface Whole { sound: boolean; entries: number | null; reason: string }

const PAGE = 100, USUAL = "all";
const SPANS: Ranges = { "24h": ["24 h", 86400], "7d": ["7 days", 604800], "30d": ["30 days", 2592000], all: ["all", 0] };
const ASKED = ["actor", "action", "subject"] as const;
const LATER = ["before"];

export function Audit({ scopes }: { scopes: string[] }) {
  const admin = scopes.includes("admin");
  return (
    <main id="main">
      <h1 tabIndex={-1}>Audit trail</h1>
      {admin ? <Trail /> : <p class="quiet">Only a key of the scope <code>admin</code> reads what people did.</p>}
    </main>
  );
}

function Trail() {
  const { params } = usePlace();
  const { key, asked } = useRange(USUAL, SPANS);
  const wanted = Object.fromEntries(ASKED.map((name) => [name, params.get(name) ?? undefined]));
  const before = params.get("before") ?? undefined;
  const since = params.has("from") ? asked : key === USUAL ? {} : { from: new Date(Math.floor(Date.now() / 60000) * 60000 - SPANS[key]![1] * 1000).toISOString() };
  const answer = useAsk<Answer>(query("/api/audit", { ...wanted, ...since, before, limit: PAGE }), 20);
  const it = answer.data;
  const some = ASKED.some((name) => params.has(name)) || key !== USUAL || params.has("from");
  return (
    <>
      <Chain />
      <Panel title="Which entries" id="which" note={<RangeChoice usual={USUAL} ranges={SPANS} />}>
        <div class="picks">
          <Asked label="Who" name="actor" hint="a part of a name" resets={LATER} />
          <Pick label="Did what" name="action" options={it?.actions ?? []} all="anything" resets={LATER} />
          <Asked label="To what" name="subject" hint="a part of an id or a name" resets={LATER} />
        </div>
        {some && <p class="note"><button type="button" class="btn small" onClick={() => set({ actor: undefined, action: undefined, subject: undefined, range: undefined, from: undefined, to: undefined, before: undefined })}>ask for nothing</button></p>}
      </Panel>
      <Panel title="Entries" id="entries" note={it && (before ? `below entry ${before}, newest first` : "newest first")}>
        {answer.error && <Fault error={answer.error} again={answer.again} />}
        {!it ? !answer.error && <Loading what="the trail" /> : it.entries.length === 0 ? <p class="quiet">{some ? "Nobody did such a thing in this time." : before ? "These were the oldest entries." : "Nobody did anything yet. What people acknowledge, silence, judge, approve, export and configure is written down here."}</p> : <Entries rows={it.entries} />}
        {it && (it.next !== null || before) && (
          <p class="row">
            {before && <button type="button" class="btn small" onClick={() => set({ before: undefined })}>newest</button>}
            {it.next !== null && <button type="button" class="btn small" onClick={() => { set({ before: String(it.next) }); scrollTo(0, 0); }}>older</button>}
          </p>
        )}
      </Panel>
    </>
  );
}

/** Whether each entry still carries the digest of the one before, over the whole trail. */
function Chain() {
  const answer = useAsk<Whole>("/api/audit/verify", 60);
  const it = answer.data;
  return (
    <Panel title="Chain" id="chain" note="each entry carries the digest of the one before">
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!it ? !answer.error && <Loading what="the check" /> : it.sound
        ? <p><span class="sev ok"><span aria-hidden="true">✓</span> sound</span> {it.entries === 0 ? "There is no entry yet." : `${count(it.entries ?? 0, "entry", "entries")} of the whole trail checked; none was changed, removed or put in between.`}</p>
        : <div class="fault" role="alert"><p><b><span aria-hidden="true">✕</span> The trail is not what was written.</b></p><p><bdi>{it.reason}</bdi></p></div>}
    </Panel>
  );
}

const words = (name: string): string => name.replaceAll("_", " ");

/** Where one can look at what was acted on. */
function Subject({ text }: { text: string }) {
  const digest = /^[0-9a-f]{64}$/.test(text);
  const shown = digest ? <code title={text}>{text.slice(0, 12)}</code> : <Said text={text} most={60} />;
  return text.startsWith("inc-") ? <A to={`/incidents/${encodeURIComponent(text)}`}>{shown}</A> : shown;
}

const flat = (detail: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(detail).filter(([, value]) => value !== "" && value !== null).map(([key, value]) => [key, typeof value === "object" ? JSON.stringify(value) : String(value)]));

function Entries({ rows }: { rows: AuditEntry[] }) {
  return (
    <ol class="list trail" aria-label="Entries of the audit trail">{rows.map((row) => {
      const detail = flat(row.detail);
      return (
        <li key={row.seq}>
          <span class="line"><span class="note seq">{row.seq}</span><Time at={row.time} seconds /> <b>{words(row.action)}</b> <Subject text={row.subject} /> <span class="note">by <Said text={row.actor || "nobody"} most={60} /></span><span class="grow" /><code class="note" title={`SHA-256 ${row.sha256}; of the entry before ${row.previous}`}>{row.sha256.slice(0, 12)}</code></span>
          {Object.keys(detail).length > 0 && <Labels labels={detail} />}
        </li>
      );
    })}</ol>
  );
}
