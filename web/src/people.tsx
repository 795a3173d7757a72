// What people do about incidents: silence what is known, say what was real and what a false alarm.
import { useState } from "preact/hooks";
import { act, Problem, type Incident, type Silence, type Verdict } from "./api";
import { count } from "./format";
import { refresh } from "./live";
import { Fault, Time } from "./parts";

const LENGTHS: [string, string][] = [["1h", "1 hour"], ["4h", "4 hours"], ["1d", "1 day"], ["7d", "7 days"]];

/** Run something once at a time, and show why it failed. */
export function useAct(): { busy: string; error: Problem | undefined; run: (name: string, doing: () => Promise<unknown>) => Promise<boolean> } {
  const [busy, setBusy] = useState("");
  const [error, setError] = useState<Problem>();
  const run = async (name: string, doing: () => Promise<unknown>): Promise<boolean> => {
    setBusy(name);
    try {
      await doing();
      setError(undefined);
      return true;
    } catch (found) {
      setError(found instanceof Problem ? found : new Problem(0, "The server did not answer.", ""));
      return false;
    } finally {
      setBusy("");
      refresh();
    }
  };
  return { busy, error, run };
}

export function Matchers({ matchers }: { matchers: Record<string, string> }) {
  return <span class="labels">{Object.entries(matchers).map(([key, value]) => <span key={key} class="label"><bdi>{key}</bdi>=<b><bdi>{value}</bdi></b></span>)}</span>;
}

/** Silences in force, with a way to end each. */
export function Silences({ silences, may }: { silences: Silence[]; may: boolean }) {
  const { busy, error, run } = useAct();
  return (
    <>
      <ul class="list silences">
        {silences.map((each) => (
          <li key={each.id}>
            <span class="line"><Matchers matchers={each.matchers} /><span class="grow" />{may && <button type="button" class="btn small" disabled={busy !== ""} aria-label={`End the silence of ${Object.values(each.matchers).join(", ")}`} onClick={() => void run(each.id, () => act(`/api/silences/${encodeURIComponent(each.id)}`, undefined, "DELETE"))}>{busy === each.id ? "Ending …" : "End"}</button>}</span>
            <span class="note">until <Time at={each.ends_at} /> by <bdi>{each.by}</bdi>{each.incidents !== undefined && ` · holds back ${count(each.incidents, "incident")}`}{each.note && <> · <bdi>{each.note}</bdi></>}</span>
          </li>
        ))}
      </ul>
      {error && <Fault error={error} />}
    </>
  );
}

/** What of this incident may be silenced: itself, where it is, what found it. */
function scopesOf(it: Incident): [string, Record<string, string>][] {
  const found: [string, Record<string, string>][] = [["this incident only", { incident: it.id }]];
  for (const entity of it.entities.slice(0, 4)) found.push([`everything on ${entity}`, { entity }]);
  for (const monitor of [...new Set(it.findings.map((each) => each.monitor))].slice(0, 4)) found.push([`the monitor ${monitor}, anywhere`, { monitor }]);
  return found;
}

export function SilenceForm({ it }: { it: Incident }) {
  const { busy, error, run } = useAct();
  const scopes = scopesOf(it);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const given = new FormData(form);
    const matchers = scopes[Number(given.get("what"))]?.[1] ?? {};
    void run("silence", () => act("/api/silences", { matchers, for: given.get("for"), note: given.get("note") })).then((done) => {
      if (done) form.closest("details")?.removeAttribute("open");
    });
  };
  return (
    <details class="more">
      <summary class="btn">Silence …</summary>
      <form class="fields" onSubmit={submit}>
        <label class="field">Page nobody about<select name="what">{scopes.map(([name], i) => <option key={name} value={String(i)}>{name}</option>)}</select></label>
        <label class="field">for<select name="for">{LENGTHS.map(([value, name]) => <option key={value} value={value}>{name}</option>)}</select></label>
        <label class="field wide">Why, for the others<input name="note" maxLength={2000} autoComplete="off" /></label>
        <button type="submit" class="btn main" disabled={busy !== ""}>{busy ? "Silencing …" : "Silence"}</button>
        <p class="note wide">It stays visible here; whoever was told is told when it is over.</p>
      </form>
      {error && <Fault error={error} />}
    </details>
  );
}

const SAID: Record<Verdict, string> = { real_problem: "a real problem", false_alarm: "a false alarm" };

/** Was it real? The last word counts; it is kept beside the incident. */
export function VerdictForm({ it, path }: { it: Incident; path: string }) {
  const { busy, error, run } = useAct();
  const last = it.feedback[it.feedback.length - 1];
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const verdict = (event.submitter as HTMLButtonElement | null)?.value ?? "";
    void run(verdict, () => act(`${path}/feedback`, { verdict, note: new FormData(form).get("note") })).then((done) => {
      if (!done) return;
      form.reset();
      form.closest("details")?.removeAttribute("open");
    });
  };
  return (
    <details class="more">
      <summary class="btn">{last ? `It was ${SAID[last.verdict]}` : "Was it real? …"}</summary>
      <form class="fields" onSubmit={submit}>
        {last && <p class="note wide"><bdi>{last.by}</bdi> said so at <Time at={last.time} />{last.note && <>: <bdi>{last.note}</bdi></>}</p>}
        <label class="field wide">Why<input name="note" maxLength={2000} autoComplete="off" /></label>
        <div class="wide row">
          <button type="submit" class="btn" value="real_problem" disabled={busy !== ""}>A real problem</button>
          <button type="submit" class="btn" value="false_alarm" disabled={busy !== ""}>A false alarm</button>
        </div>
      </form>
      {error && <Fault error={error} />}
    </details>
  );
}
