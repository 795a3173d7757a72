// Hosts and their GPUs: a tile each, and what should be there and is not.
import { query, type Summary } from "../api";
import { count, quantity } from "../format";
import { useAsk } from "../live";
import { A, ago, Copy, Fault, Loading, Panel, Said, Sev, Time } from "../parts";
import { set, usePlace } from "../url";

interface Device {
  id: string; host: string; model: string; number: string; last_time: string; live: boolean; failed: boolean; memory_used: number | null; memory_total: number | null;
  memory_ratio: number | null; utilization: number | null; temperature: number | null; power: number | null; power_limit: number | null; clock: number | null;
  error_code: number | null; throttle: string[] | null; incidents: Summary[];
}
interface Host {
  host: string; last_time: string; live: boolean; cpu_ratio: number | null; load: number | null; memory_ratio: number | null; disk: { ratio: number; part: string } | null;
  expected: number; expected_by: string; present: number; missing: number; devices: Device[]; incidents: Summary[];
}
interface Answer { now: string; hosts: Host[] }

const HOT = 82;
const percent = (ratio: number | null): string => (ratio === null ? "–" : `${(100 * ratio).toFixed(0)} %`);
const nameOf = (host: string) => (host ? <Said text={host} most={60} /> : <>(no host named)</>);

export function Machines() {
  const { params } = usePlace();
  const answer = useAsk<Answer>("/api/machines", 10);
  const it = answer.data;
  const search = (params.get("search") ?? "").toLowerCase();
  const hosts = it?.hosts.filter((host) => !search || [host.host, ...host.devices.flatMap((each) => [each.id, each.model])].some((text) => text.toLowerCase().includes(search))) ?? [];
  const gpus = it?.hosts.flatMap((host) => host.devices) ?? [];
  return (
    <main id="main">
      <h1 tabIndex={-1}>Machines</h1>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!it ? !answer.error && <Loading what="machines" /> : it.hosts.length === 0 ? <First /> : (
        <>
          <Inventory hosts={it.hosts} gpus={gpus} />
          <label class="field narrow">Search<input type="search" value={params.get("search") ?? ""} placeholder="part of a host's or GPU's name" autoComplete="off" spellcheck={false} onInput={(event) => set({ search: event.currentTarget.value }, true)} /></label>
          {hosts.length === 0 && <p class="quiet">No machine matches.</p>}
          {hosts.map((host) => <One key={host.host} host={host} now={it.now} />)}
        </>
      )}
    </main>
  );
}

function Inventory({ hosts, gpus }: { hosts: Host[]; gpus: Device[] }) {
  const short = hosts.filter((host) => host.missing > 0);
  const gone = hosts.filter((host) => !host.live);
  const slowed = gpus.filter((each) => each.live && each.throttle?.length);
  return (
    <Panel title="Inventory" id="inventory" note="expected by `inventory` in tocsin.yaml, else what was seen in 7 days">
      <ul class="inshort">
        <li><span aria-hidden="true">{gone.length ? "✗" : "✓"}</span><b>Hosts</b><span>{hosts.length - gone.length} of {hosts.length} were heard of in 5 minutes{gone.length > 0 && <>; not <Said text={gone.slice(0, 8).map((host) => host.host || "(no host named)").join(", ")} most={200} /></>}</span></li>
        <li><span aria-hidden="true">{short.length ? "✗" : "✓"}</span><b>GPUs</b><span>{gpus.length === 0 && !short.length ? "none are known" : <>{gpus.filter((each) => each.live).length} there, {hosts.reduce((sum, host) => sum + host.expected, 0)} expected{short.length > 0 && <>; missing: {short.slice(0, 8).map((host, i) => <span key={host.host}>{i > 0 && ", "}{host.missing} on {nameOf(host.host)}</span>)}</>}</>}</span></li>
        <li><span aria-hidden="true">{slowed.length ? "✗" : "✓"}</span><b>Slowed down</b><span>{slowed.length ? <>{count(slowed.length, "GPU")}: <Said text={[...new Set(slowed.flatMap((each) => each.throttle!))].join(", ").replaceAll("_", " ")} most={200} /></> : gpus.some((each) => each.throttle) ? "no GPU says so" : "no GPU tells"}</span></li>
      </ul>
    </Panel>
  );
}

function Meter({ label, ratio, text, bad }: { label: string; ratio: number | null; text: string; bad?: boolean }) {
  return (
    <div class="gauge">
      <span class="note">{label}</span><b class={bad ? "bad num" : "num"}>{text}</b>
      {ratio !== null && <svg width="100%" height="6" aria-hidden="true"><rect class="was-bar" width="100%" height="6" rx="2" opacity=".3" /><rect class={bad ? "bad-bar" : "now-bar"} width={`${Math.max(0, Math.min(100, 100 * ratio))}%`} height="6" rx="2" /></svg>}
    </div>
  );
}

function About({ incidents }: { incidents: Summary[] }) {
  if (!incidents.length) return null;
  return <ul class="list">{incidents.map((each) => <li key={each.id}><span><Sev severity={each.severity} /> <A to={`/incidents/${each.id}`}><Said text={each.title} most={120} /></A></span></li>)}</ul>;
}

function One({ host, now }: { host: Host; now: string }) {
  const some = host.cpu_ratio !== null || host.load !== null || host.memory_ratio !== null || host.disk !== null;
  return (
    <section class="panel" aria-label={host.host || "no host named"}>
      <div class="head">
        <h2>{host.host ? <A to={query("/signals", { entity: host.host })}><Said text={host.host} most={80} /></A> : nameOf(host.host)}</h2>
        <p class="note">{host.live ? "heard of" : <b class="sev error">◆ not heard of since</b>} {host.live ? ago(host.last_time, now) : <Time at={host.last_time} />}{host.expected > 0 && <> · {host.present} of {count(host.expected, "GPU")} ({host.expected_by})</>}</p>
      </div>
      <About incidents={host.incidents} />
      {some && (
        <div class="gauges">
          {host.cpu_ratio !== null && <Meter label="Processors" ratio={host.cpu_ratio} text={percent(host.cpu_ratio)} bad={host.cpu_ratio > 0.9} />}
          {host.load !== null && <Meter label="Load, 1 min" ratio={null} text={host.load.toPrecision(3)} />}
          {host.memory_ratio !== null && <Meter label="Memory" ratio={host.memory_ratio} text={percent(host.memory_ratio)} bad={host.memory_ratio > 0.92} />}
          {host.disk && <Meter label={`Fullest disk ${host.disk.part.slice(0, 40)}`} ratio={host.disk.ratio} text={percent(host.disk.ratio)} bad={host.disk.ratio > 0.95} />}
        </div>
      )}
      {host.devices.length > 0 && <ul class="tiles">{host.devices.map((each) => <Tile key={each.id} it={each} now={now} />)}</ul>}
      {host.missing > host.devices.filter((each) => !each.live).length && <p class="note warn">{count(host.missing - host.devices.filter((each) => !each.live).length, "GPU")} more should be here and was never seen.</p>}
    </section>
  );
}

function Tile({ it, now }: { it: Device; now: string }) {
  const hot = it.temperature !== null && it.temperature >= HOT;
  return (
    <li class={it.live ? "tile" : "tile gone-tile"}>
      <p class="line"><b>GPU <Said text={it.number || it.id} most={20} /></b><span class="note"><Said text={it.model} most={40} /></span></p>
      {!it.live && <p><b class="sev error"><span aria-hidden="true">◆</span> {it.failed ? "failed" : "missing"}</b> <span class="note">last heard of {ago(it.last_time, now)}</span></p>}
      <About incidents={it.incidents} />
      {it.live && (
        <>
          <Meter label="Memory" ratio={it.memory_ratio} text={it.memory_used === null ? percent(it.memory_ratio) : `${quantity(it.memory_used, "By")}${it.memory_total ? ` of ${quantity(it.memory_total, "By")}` : ""}`} />
          <Meter label="Utilisation" ratio={it.utilization} text={percent(it.utilization)} />
          <Meter label="Temperature" ratio={it.temperature === null ? null : it.temperature / 100} text={it.temperature === null ? "–" : `${it.temperature.toFixed(0)} °C${hot ? ", hot" : ""}`} bad={hot} />
          <Meter label="Power" ratio={it.power !== null && it.power_limit ? it.power / it.power_limit : null} text={it.power === null ? "–" : `${it.power.toFixed(0)} W${it.power_limit ? ` of ${it.power_limit.toFixed(0)} W` : ""}`} />
          <p class="note">{it.clock !== null && `${it.clock.toFixed(0)} MHz · `}{it.throttle === null ? "throttling not told" : it.throttle.length ? <b class="bad">slowed down: <Said text={it.throttle.join(", ").replaceAll("_", " ")} most={120} /></b> : "not slowed down"} · {it.error_code === null ? "XID not told" : it.error_code ? <b class="bad" title="the code stays until the next one: it says nothing of now">last XID {it.error_code}</b> : "no XID"}</p>
        </>
      )}
      <p class="note mono"><A to={query("/signals", { entity: it.id })}><Said text={it.id} most={60} /></A></p>
    </li>
  );
}

function First() {
  const scrape = `sources:\n  - {name: dcgm, type: prometheus, targets: ["http://gpu-1:9400/metrics"], interval: 15s}\n  - {name: nodes, type: prometheus, targets: ["http://gpu-1:9100/metrics"], interval: 15s}`;
  return (
    <Panel title="Send metrics of machines" id="send-machines" note="none came in 7 days">
      <p>The machine that Tocsin runs on is watched by itself, with its GPUs. Others send the OpenTelemetry Collector's host metrics, or are scraped:</p>
      <Copy text={scrape} label="sources for tocsin.yaml" />
      <p class="note">How many GPUs a host must have says <code>inventory: [{"{"}host: "gpu-*", devices: 8{"}"}]</code>; without it, what was seen in 7 days.</p>
    </Panel>
  );
}
