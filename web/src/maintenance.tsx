// Maintenance windows: what tells nobody when, and a form to plan one.
import { act, type Windows } from "./api";
import { span } from "./format";
import { useAsk } from "./live";
import { Fault, Loading, Panel, Time } from "./parts";
import { useAct } from "./people";

const LASTS: [string, string][] = [["30m", "30 minutes"], ["1h", "1 hour"], ["2h", "2 hours"], ["4h", "4 hours"], ["8h", "8 hours"], ["24h", "1 day"]];
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** Labels as people type them, `service.name=web, cluster=blue`; a key may have several values. */
export function matchOf(text: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const part of text.split(",")) {
    const [key, ...rest] = part.split("=");
    const name = (key ?? "").trim();
    if (name) (found[name] ??= []).push(rest.join("=").trim());
  }
  return found;
}

/** The next full hour by the clock of this browser, as its inputs write it. */
function soon(): string {
  const at = new Date(Date.now() + 3600_000);
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:00`;
}

export function MaintenancePanel({ may }: { may: boolean }) {
  const answer = useAsk<Windows>("/api/maintenance", 30);
  const { busy, error, run } = useAct();
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const given = new FormData(form);
    const text = (name: string): string => String(given.get(name) ?? "");
    const body = { name: text("name"), match: matchOf(text("match")), starts: text("starts"), lasts: text("lasts"), time_zone: HERE, every: text("every") || null, note: text("note") };
    void run("plan", () => act("/api/maintenance", body)).then((done) => {
      if (!done) return;
      form.reset();
      form.closest("details")?.removeAttribute("open");
    });
  };
  const rows = answer.data?.windows ?? [];
  return (
    <Panel title="Maintenance" id="maintenance" note="told nobody meanwhile, and afterwards if it still holds">
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!answer.data ? !answer.error && <Loading what="the windows" /> : rows.length === 0 ? <p class="quiet">None is planned.</p> : (
        <ul class="list">
          {rows.map((each) => (
            <li key={each.id || `of ${each.name}`}>
              <span class="line"><b><bdi>{each.name}</bdi></b>{each.holds && <span class="tag warn">holds now</span>}<span class="labels">{Object.entries(each.match).map(([key, values]) => <span key={key} class="label"><bdi>{key}</bdi>=<b><bdi>{values.join(" | ")}</bdi></b></span>)}</span><span class="grow" />
                {may && each.planned && <button type="button" class="btn small" disabled={busy !== ""} aria-label={`${each.holds ? "End" : "Call off"} the maintenance ${each.name}`} onClick={() => void run(each.id, () => act(`/api/maintenance/${encodeURIComponent(each.id)}`, undefined, "DELETE"))}>{each.holds ? "End" : "Call off"}</button>}</span>
              <span class="note">{each.calendar ? "by its calendar" : <>{each.every && `every ${each.every} `}from {each.starts.replace("T", " ")} (<bdi>{each.time_zone}</bdi>) for {span(each.lasts_s ?? 0)}</>}{each.ends_at && <>, until <Time at={each.ends_at} /></>} · {each.planned ? <>by <bdi>{each.by}</bdi></> : "of the configuration"}{each.note && <> · <bdi>{each.note}</bdi></>}</span>
            </li>
          ))}
        </ul>
      )}
      {may && (
        <details class="more">
          <summary class="btn">Plan maintenance …</summary>
          <form class="fields" onSubmit={submit}>
            <label class="field">Name<input name="name" required maxLength={100} pattern="[A-Za-z0-9][A-Za-z0-9._\-]*" title="letters, digits, dots, dashes" autoComplete="off" /></label>
            <label class="field">What it is about<input name="match" required placeholder="service.name=web, cluster=blue" pattern=".*[^=, ]=[^=, ].*" title="KEY=VALUE, several by commas" autoComplete="off" spellcheck={false} /></label>
            <label class="field">From ({HERE})<input type="datetime-local" name="starts" required defaultValue={soon()} /></label>
            <label class="field">for<select name="lasts" defaultValue="2h">{LASTS.map(([value, name]) => <option key={value} value={value} selected={value === "2h"}>{name}</option>)}</select></label>
            <label class="field">again<select name="every"><option value="">not</option><option value="day">every day</option><option value="week">every week</option></select></label>
            <label class="field wide">Why, for the others<input name="note" maxLength={2000} autoComplete="off" /></label>
            <button type="submit" class="btn main" disabled={busy !== ""}>{busy === "plan" ? "Planning …" : "Plan it"}</button>
            <p class="note wide">Matches what incidents carry: a label, or entity, monitor, signal, severity, team. What is held back stays visible here and on the board.</p>
          </form>
        </details>
      )}
      {error && <Fault error={error} />}
    </Panel>
  );
}
