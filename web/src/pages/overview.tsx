// The first page: how things are in one sentence, what is open, where it was strange, what is blind.
import type { Overview as Answer } from "../api";
import { count, span } from "../format";
import { useAsk } from "../live";
import { Silences } from "../people";
import { A, Card, Copy, Fault, Loading, Panel, Said, Time } from "../parts";
import { Strip } from "../strip";
import { set, usePlace } from "../url";

const GLYPH = { empty: "○", learning: "◔", ok: "✓", warning: "■", critical: "▲", blind: "◇" } as const;
const WORD = { empty: "Waiting", learning: "Learning", ok: "All well", warning: "Attention", critical: "Critical", blind: "Blind" } as const;
const HOURS = ["1", "6", "24", "168"];
const NAMES: Record<string, string> = { "1": "1 h", "6": "6 h", "24": "24 h", "168": "7 days" };

export function Overview({ theme, scopes }: { theme: string; scopes: string[] }) {
  const { params } = usePlace();
  const hours = HOURS.includes(params.get("hours") ?? "") ? params.get("hours")! : "6";
  const answer = useAsk<Answer>(hours === "6" ? "/api/overview" : `/api/overview?hours=${hours}`, 15);
  const it = answer.data;
  if (!it) return <main id="main"><h1 tabIndex={-1}>Overview</h1>{answer.error ? <Fault error={answer.error} again={answer.again} /> : <Loading what="the overview" />}</main>;
  const selected = params.get("selected");
  return (
    <main id="main">
      <div class={`health ${it.health.state}`}>
        <p class="state"><span aria-hidden="true">{GLYPH[it.health.state]}</span> {WORD[it.health.state]}</p>
        <h1 tabIndex={-1}>{it.health.sentence}</h1>
      </div>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {it.health.state === "empty" ? <FirstSteps it={it} scopes={scopes} /> : (
        <div class="two">
          <div class="column">
            <Panel title="Inbox" id="inbox" note={it.incidents.length ? <><kbd>j</kbd> <kbd>k</kbd> move, <kbd>Enter</kbd> opens</> : undefined}>
              {it.incidents.length
                ? <ul class="cards">{it.incidents.map((each) => <li key={each.id}><Card incident={each} now={it.now} current={selected === each.id} /></li>)}</ul>
                : <p class="quiet">Nothing is open.</p>}
              {it.resolved.length > 0 && <><h3>Resolved in the last 24 hours</h3><ul class="cards">{it.resolved.map((each) => <li key={each.id}><Card incident={each} now={it.now} current={selected === each.id} /></li>)}</ul></>}
            </Panel>
            {it.silences.length > 0 && <Panel title="Silenced" id="silenced" note="pages nobody"><Silences silences={it.silences} may={scopes.includes("operate") || scopes.includes("admin")} /></Panel>}
          </div>
          <div class="column">
            <Panel title="Where it was strange" id="strange" note={<span class="choice" role="group" aria-label="Span of time">{HOURS.map((each) => <button type="button" key={each} class="btn small" aria-pressed={each === hours} onClick={() => set({ hours: each === "6" ? undefined : each })}>{NAMES[each]}</button>)}</span>}>
              {it.strip.rows.length ? <Strip strip={it.strip} theme={theme} /> : <p class="quiet">No window has been judged in this span of time.</p>}
            </Panel>
            <div class="pair">
              <div class="column">
                <Learning it={it} />
                <Changes it={it} />
              </div>
              <Blind it={it} />
            </div>
          </div>
        </div>
      )}
    </main>
  );
}

function Learning({ it }: { it: Answer }) {
  const { warm, learning } = it.learning;
  const total = warm + learning;
  return (
    <Panel title="Learning" id="learning">
      {total === 0 ? <p class="quiet">The first verdicts come about 8 minutes after the first data: 45 windows are needed.</p> : (
        <>
          <progress value={warm} max={total} aria-label="Series that are judged">{warm} of {total}</progress>
          <p>{learning === 0 ? <>All {count(total, "series", "series")} are judged.</> : <><b>{warm}</b> of {count(total, "series", "series")} are judged; {learning} still {learning === 1 ? "learns" : "learn"} what is normal.</>}</p>
          {warm === 0 && it.learning.first_at && <FirstVerdict since={it.learning.first_at} now={it.now} />}
        </>
      )}
    </Panel>
  );
}

function FirstVerdict({ since, now }: { since: string; now: string }) {
  const left = 470 - (Date.parse(now) - Date.parse(since)) / 1000;
  return <p class="note">{left > 0 ? `First verdicts in about ${span(left)}.` : "First verdicts come with the next windows."}</p>;
}

function Blind({ it }: { it: Answer }) {
  return (
    <Panel title="Blind spots" id="blind">
      {it.blind.length === 0 ? <p class="quiet">None: every known series reports, nothing was dropped.</p> : (
        <ul class="list">{it.blind.map((each) => <li key={each.what}><A to={each.link}>{each.what}</A><span class="note"><bdi>{each.why}</bdi></span></li>)}</ul>
      )}
    </Panel>
  );
}

function Changes({ it }: { it: Answer }) {
  return (
    <Panel title="Recent changes" id="changes" note="24 hours">
      {it.changes.length === 0 ? <p class="quiet">No deploy, prompt, flag or configuration change was seen. <code>tocsin event deploy "web 1.2"</code> records one.</p> : (
        <ul class="list changes">{it.changes.map((each, i) => <li key={i}><Time at={each.time} /><span class="tag">{each.kind}</span>{each.entity && <b><Said text={each.entity} most={80} /></b>}<span><Said text={each.what} /></span></li>)}</ul>
      )}
    </Panel>
  );
}

function FirstSteps({ it, scopes }: { it: Answer; scopes: string[] }) {
  const base = location.origin;
  const otlp = `export OTEL_EXPORTER_OTLP_ENDPOINT=${base}\nexport OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`;
  const prometheus = `remote_write:\n  - url: ${base}/api/v1/write`;
  const sdk = `pip install opentelemetry-distro opentelemetry-exporter-otlp\nopentelemetry-bootstrap -a install\nopentelemetry-instrument python app.py`;
  const scrape = `sources:\n  - {name: vllm, type: prometheus, targets: ["http://127.0.0.1:8000/metrics"], interval: 15s}`;
  return (
    <div class="steps">
      <Panel title="Send something" id="send" note="one of these is enough">
        <h3>From a program with OpenTelemetry</h3>
        <Copy text={otlp} label="environment for OpenTelemetry" />
        <h3>From a Python program without it</h3>
        <Copy text={sdk} label="commands for the OpenTelemetry SDK" />
        <h3>From Prometheus</h3>
        <Copy text={prometheus} label="remote write for prometheus.yml" />
        <h3>Let Tocsin scrape, in tocsin.yaml</h3>
        <Copy text={scrape} label="a source for tocsin.yaml" />
        {!scopes.includes("admin") && <p class="note">Senders need a key with the scope ingest: <code>tocsin key create --scope ingest</code></p>}
      </Panel>
      <Panel title="What happens then" id="then">
        <ol class="flow">
          <li><b>At once</b>: signals are listed and drawn under <A to="/signals">Signals</A>; fixed limits are watched from the first value.</li>
          <li><b>After about 8 minutes</b>: first verdicts, when 45 windows have shown what is normal. They get surer with time.</li>
          <li><b>When something is out of line</b>: one incident appears here, with its probable cause and the evidence.</li>
        </ol>
        <p>Nothing to send yet? <code>tocsin demo</code> plays a chatbot in trouble.</p>
        {it.blind.length > 0 && <ul class="list">{it.blind.map((each) => <li key={each.what}><A to={each.link}>{each.what}</A><span class="note">{each.why}</span></li>)}</ul>}
      </Panel>
    </div>
  );
}
