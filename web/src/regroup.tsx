// Merging and splitting an incident by hand; what is said is remembered for the next time.
import { useState } from "preact/hooks";
import { act, type Incident, type Overview } from "./api";
import { useAsk } from "./live";
import { useAct } from "./people";
import { brief, Fault } from "./parts";

export function RegroupForm({ it, path }: { it: Incident; path: string }) {
  const { busy, error, run } = useAct();
  const [open, setOpen] = useState(false);
  const all = useAsk<Overview>("/api/overview", 60);
  const others = (all.data?.incidents ?? []).filter((each) => each.id !== it.id);
  const merge = (event: SubmitEvent): void => {
    event.preventDefault();
    const into = new FormData(event.currentTarget as HTMLFormElement).get("into");
    void run("merge", () => act(`${path}/merge`, { into })).then((done) => { if (done) setOpen(false); });
  };
  const split = (event: SubmitEvent): void => {
    event.preventDefault();
    const findings = new FormData(event.currentTarget as HTMLFormElement).getAll("finding");
    void run("split", () => act(`${path}/split`, { findings })).then((done) => { if (done) setOpen(false); });
  };
  if (others.length === 0 && it.findings.length < 2) return null;
  return (
    <details class="more" open={open} onToggle={(event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
      <summary class="btn">Merge or split …</summary>
      {others.length > 0 && (
        <form class="fields" onSubmit={merge}>
          <label class="field wide">It is part of<select name="into">{others.map((each) => <option key={each.id} value={each.id}>{brief(each.title, 100)}</option>)}</select></label>
          <button type="submit" class="btn main" disabled={busy !== ""}>{busy === "merge" ? "Merging …" : "Merge"}</button>
        </form>
      )}
      {it.findings.length > 1 && (
        <form class="fields" onSubmit={split}>
          <fieldset class="field wide"><legend>Not part of it</legend>
            {it.findings.slice(0, 50).map((each) => <label key={each.id}><input type="checkbox" name="finding" value={each.id} /> <bdi>{brief(`${each.monitor}, ${each.entity}`, 100)}</bdi></label>)}
          </fieldset>
          <button type="submit" class="btn" disabled={busy !== ""}>{busy === "split" ? "Splitting …" : "Split off"}</button>
        </form>
      )}
      <p class="note wide">Remembered: the next time they are joined or kept apart by themselves. In force within seconds.</p>
      {error && <Fault error={error} />}
    </details>
  );
}
