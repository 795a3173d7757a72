// Signals: find one, pick a series, see what it did and what was expected.
import { useMemo } from "preact/hooks";
import { query, type Change, type Line, type Lines, type SeriesRow, type SignalRow } from "../api";
import { Chart, type Mark } from "../chart";
import { atMost, count, quantity, span } from "../format";
import { useAsk } from "../live";
import { A, brief, Fault, Labels, Loading, Panel, Said, Time } from "../parts";
import { set, usePlace } from "../url";

const MOST_SIGNALS = 500, MOST_SERIES = 200, MOST_STATES = 500;
const RANGES: Record<string, [string, number]> = { "1h": ["1 h", 3600], "6h": ["6 h", 21600], "24h": ["24 h", 86400], "7d": ["7 days", 604800] };
const STATES: Record<string, string> = {
  live: "reports at its usual pace", zero: "reports, but only zeros", late: "later than its usual pace",
  stale: "its source said it is gone", absent: "stopped without a word", reset: "its counter began anew",
};

export function Signals({ theme }: { theme: string }) {
  const { params } = usePlace();
  const [search, entity, signal] = [params.get("search") ?? "", params.get("entity") ?? "", params.get("signal") ?? ""];
  const answer = useAsk<{ signals: SignalRow[] }>(query("/api/signals", { search, entity, limit: MOST_SIGNALS }));
  const rows = answer.data?.signals;
  return (
    <main id="main" class={signal ? "picked" : ""}>
      <h1 tabIndex={-1}>Signals</h1>
      <div class="browse">
        <section class="panel finder" aria-labelledby="find">
          <h2 id="find" class="sr">Find a signal</h2>
          <label class="field">Search<input type="search" value={search} placeholder="part of a name" autoComplete="off" spellcheck={false} onInput={(event) => set({ search: event.currentTarget.value }, true)} /></label>
          {entity && <p class="filter">of <b><Said text={entity} most={80} /></b> <button type="button" class="btn small" onClick={() => set({ entity: undefined })}>all services</button></p>}
          {answer.error && <Fault error={answer.error} again={answer.again} />}
          {!rows ? !answer.error && <Loading what="signals" /> : rows.length === 0 ? <p class="quiet">{search || entity ? "No signal matches." : <>No telemetry has arrived yet. <A to="/">How to send some</A></>}</p> : (
            <>
              <p class="note" role="status">{atMost(rows.length, MOST_SIGNALS, "signal")} <kbd>j</kbd> <kbd>k</kbd></p>
              <ul class="cards tight">
                {rows.map((row) => (
                  <li key={row.name}>
                    <A to={query("/signals", { search, entity, signal: row.name, range: params.get("range") ?? undefined })} class="card" data-nav={row.name} data-go="" aria-current={row.name === signal ? "true" : undefined}>
                      <span class="title mono"><Said text={row.name} /></span>
                      <span class="note">{row.kind}{row.unit && row.unit !== "1" ? `, ${row.unit}` : ""} · {count(row.series, "series", "series")}</span>
                    </A>
                  </li>
                ))}
              </ul>
            </>
          )}
        </section>
        <div class="column">{signal ? <Detail key={signal} signal={signal} theme={theme} /> : params.get("state") ? <InState state={params.get("state")!} /> : <section class="panel" aria-label="No signal chosen"><p class="quiet">Choose a signal to see what it did and what was expected.</p></section>}</div>
      </div>
    </main>
  );
}

interface StateRow { id: string; signal: string; labels: Record<string, string>; state: string; since: string | null; cadence_s?: number }

/** All series in one state, whatever their signal. */
function InState({ state }: { state: string }) {
  const answer = useAsk<{ series: StateRow[] }>(query("/api/states", { state, limit: MOST_STATES }));
  const rows = answer.data?.series;
  return (
    <Panel title={`Series that are ${state}`} id="in-state" note={<button type="button" class="btn small" onClick={() => set({ state: undefined })}>all states</button>}>
      <p class="note">{STATES[state] ?? ""}{rows && rows.length >= MOST_STATES && `; ${atMost(rows.length, MOST_STATES, "series", "series")} are listed`}</p>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!rows ? !answer.error && <Loading what="series" /> : rows.length === 0 ? <p class="quiet">None.</p> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of these series">
          <table>
            <thead><tr><th scope="col">Signal</th><th scope="col">Labels</th><th scope="col">Since</th><th scope="col">Usual pace</th></tr></thead>
            <tbody>{rows.map((row) => <tr key={row.id}><th scope="row"><A to={query("/signals", { signal: row.signal, series: row.id })}><Said text={row.signal} /></A></th><td><Labels labels={row.labels} /></td><td><Time at={row.since} seconds /></td><td class="nowrap">{row.cadence_s ? `every ${span(row.cadence_s)}` : "–"}</td></tr>)}</tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Detail({ signal, theme }: { signal: string; theme: string }) {
  const { params } = usePlace();
  const entity = params.get("entity") ?? "";
  const answer = useAsk<{ series: SeriesRow[] }>(query("/api/series", { signal, limit: MOST_SERIES }));
  const found = answer.data?.series;
  const [state, wanted] = [params.get("state") ?? "", params.get("series")];
  const kept = found?.filter((row) => (!state || row.state === state) && (!entity || Object.values(row.labels).includes(entity)));
  // a monitor may watch a group of series: its windows are found by the group's own identity
  const group = wanted ? { id: wanted, labels: {}, unit: "", last_time: null, last_value: null, state: "", since: null } : undefined;
  const chosen = found?.find((row) => row.id === wanted) ?? group ?? kept?.[0] ?? found?.[0];
  return (
    <>
      <p class="back"><A to={query("/signals", { search: params.get("search") ?? "", entity })}>← all signals</A></p>
      <Panel title={brief(signal)} id="signal" note={<Ranges />}>
        {answer.error && <Fault error={answer.error} again={answer.again} />}
        {!found ? !answer.error && <Loading what="its series" /> : <Plots signal={signal} chosen={chosen} theme={theme} />}
      </Panel>
      {found && (
        <Panel title="Series" id="series" note={atMost(found.length, MOST_SERIES, "series", "series")}>
          {found.length === 0 ? <p class="quiet">No series of this signal is stored.</p> : <SeriesTable rows={kept ?? []} all={found} chosen={chosen} state={state} />}
        </Panel>
      )}
    </>
  );
}

const rangeOf = (params: URLSearchParams): string => {
  const found = params.get("range") ?? "6h";
  return Object.hasOwn(RANGES, found) ? found : "6h";
};

function Ranges() {
  const { params } = usePlace();
  const zoomed = params.has("from");
  const now = rangeOf(params);
  return (
    <span class="choice" role="group" aria-label="Span of time">
      {Object.entries(RANGES).map(([key, [name]]) => <button type="button" key={key} class="btn small" aria-pressed={!zoomed && key === now} onClick={() => set({ range: key === "6h" ? undefined : key, from: undefined, to: undefined })}>{name}</button>)}
    </span>
  );
}

/** Runs of windows outside their band and rare: what a monitor may call a finding. */
function runs(line: Line): [number, number][] {
  const found: [number, number][] = [];
  line.time.forEach((time, i) => {
    const [value, lower, upper, p] = [line.value[i] ?? null, line.lower[i] ?? null, line.upper[i] ?? null, line.log10_p[i] ?? null];
    const out = value !== null && ((upper !== null && value > upper) || (lower !== null && value < lower)) && (p === null || p <= -5);
    const last = found[found.length - 1];
    if (!out) return;
    if (last && i > 0 && last[1] === line.time[i - 1]) last[1] = time;
    else found.push([time, time]);
  });
  return found;
}

function Plots({ signal, chosen, theme }: { signal: string; chosen: SeriesRow | undefined; theme: string }) {
  const { params } = usePlace();
  const [from, to] = [params.get("from") ?? undefined, params.get("to") ?? undefined];
  const seconds = RANGES[rangeOf(params)]![1];
  // relative to the server's now: an address with a range means the same tomorrow
  const span_s = from ? {} : { last_s: seconds };
  const panes = useAsk<Lines>(chosen ? query("/api/panes", { series: chosen.id, from, to, ...span_s }) : null, 10);
  const none = panes.data !== undefined && panes.data.lines.length === 0;
  const points = useAsk<Lines>(chosen && (none || panes.error) ? query("/api/points", { signal, series: chosen.id, from, to, ...span_s }) : null, 10);
  const data = none || panes.error ? points.data : panes.data;
  const events = useAsk<{ events: Change[] }>(data ? query("/api/events", { from: Math.floor(data.from), to: Math.ceil(data.to) }) : null, 120);
  const range = useMemo<[number, number] | undefined>(() => (data ? [data.from, data.to] : undefined), [data]);
  const lines = useMemo(() => data?.lines.map((line) => ({ ...line, findings: line.upper.length || line.lower.length ? runs(line) : [] })) ?? [], [data]);
  const changes = useMemo(() => [...(events.data?.events ?? [])].reverse().slice(-12), [events.data]);
  const marks = useMemo<Mark[]>(() => changes.map((each, i) => ({ at: Date.parse(each.time) / 1000, number: i + 1 })), [changes]);
  const error = panes.error ?? points.error;
  if (!chosen) return <p class="quiet">No series to draw.</p>;
  if (!data || !range) return error ? <Fault error={error} again={panes.again} /> : <Loading what="values" />;
  return (
    <>
      <p class="chosen"><Labels labels={lines[0]?.labels ?? chosen.labels} /></p>
      {lines.length === 0 && <p class="quiet">No values in this span of time; last seen <Time at={chosen.last_time} />.</p>}
      {lines.map((line) => (
        <div key={line.monitor + line.series_id}>
          {line.monitor ? <h3>monitor {line.monitor}</h3> : <p class="note">As received, of a histogram its mean; no monitor has judged this series, so there is no expected band.</p>}
          <Chart line={line} marks={marks} range={range} height={lines.length > 1 ? 180 : 280} theme={theme} title={`${brief(signal)} ${line.monitor}`} zoom={(a, b) => set({ from: a.toFixed(0), to: b.toFixed(0) })} />
        </div>
      ))}
      {changes.length > 0 && <ol class="marks">{changes.map((each, i) => <li key={i}><span class="mark" aria-hidden="true">{i + 1}</span><span><Time at={each.time} /> <b>{each.kind}</b> {each.entity && <><Said text={each.entity} most={80} />: </>}<Said text={each.what} /></span></li>)}</ol>}
    </>
  );
}

function SeriesTable({ rows, all, chosen, state }: { rows: SeriesRow[]; all: SeriesRow[]; chosen: SeriesRow | undefined; state: string }) {
  const { params } = usePlace();
  const states = [...new Set(all.map((row) => row.state))].sort();
  const signal = params.get("signal") ?? "";
  return (
    <>
      {states.length > 1 && <div class="choice" role="group" aria-label="State"><button type="button" class="btn small" aria-pressed={!state} onClick={() => set({ state: undefined })}>all</button>{states.map((each) => <button type="button" key={each} class="btn small" aria-pressed={each === state} onClick={() => set({ state: each })}>{each}</button>)}</div>}
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of series">
        <table>
          <thead><tr><th scope="col">Labels</th><th scope="col">State</th><th scope="col" class="num">Last value</th><th scope="col">Last seen</th><th scope="col">Pace</th></tr></thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.id} class={row.id === chosen?.id ? "current" : ""}>
                <th scope="row"><A to={query("/signals", { ...Object.fromEntries(params), series: row.id })} aria-current={row.id === chosen?.id ? "true" : undefined}><Labels labels={row.labels} /></A></th>
                <td><span class={`tag ${row.state === "live" || row.state === "zero" ? "" : "warn"}`} title={STATES[row.state] ?? ""}>{row.state || "not known"}</span></td>
                <td class="num">{row.last_value === null ? "–" : quantity(row.last_value, row.unit, signal)}</td>
                <td><Time at={row.last_time} seconds /></td>
                <td>{row.cadence_s ? `every ${span(row.cadence_s)}` : "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
