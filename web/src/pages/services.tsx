// Services: who calls whom by stored spans, drawn and as tables, beside the time before.
import { query } from "../api";
import { Pick, RangeChoice, useRange } from "../fields";
import { count, quantity } from "../format";
import { HIGH, placed, WIDE, type Spot } from "../layers";
import { useAsk } from "../live";
import { A, brief, Copy, Fault, Loading, Panel, Said } from "../parts";
import type { Names } from "../traces";
import { go, set, usePlace } from "../url";

interface Measures { requests: number; errors: number; error_ratio: number | null; p50_ms: number | null; p95_ms: number | null }
type Change = "new" | "vanished" | "worse" | "same" | null;
interface Node extends Measures { name: string; kind: "service" | "peer"; active: boolean; before: Measures | null; change: Change }
interface Edge extends Measures { caller: string; callee: string; before: Measures | null; change: Change }
interface Answer { from: number; to: number; compared: boolean; every: number; strays: number; nodes: Node[]; edges: Edge[]; left_out: { nodes: number; edges: number }; more: boolean }

const whole = (n: number): string => n.toLocaleString("en");
const percent = (ratio: number | null): string => (ratio === null ? "–" : `${(100 * ratio).toFixed(ratio > 0 && ratio < 0.1 ? 1 : 0)} %`);
const ms = (value: number | null): string => (value === null ? "–" : quantity(value / 1000, "s"));
const named = (name: string): string => name || "(no service)";
const told = (change: Change): string => (change === "same" || change === null ? "" : change);

/** How an edge or a node is drawn; the change is said in words too. */
function look(it: Measures & { change: Change }): string {
  if (it.change === "vanished") return "vanished";
  const bad = it.change === "worse" || (it.error_ratio ?? 0) >= 0.05 ? " bad" : it.change === "new" || (it.error_ratio ?? 0) >= 0.01 ? " warn" : "";
  return `${it.change === "new" ? "new" : "known"}${bad}`;
}

/** Traces of a service in the time that is drawn, or in the time before of what is gone. */
function traces(it: Answer, service: string, gone: boolean): string {
  const [from, to] = gone ? [2 * it.from - it.to, it.from] : [it.from, it.to];
  return query("/traces", { service: service || undefined, from: from.toFixed(0), to: to.toFixed(0), order: "slowest" });
}

/** Whose traces show a call: of who was called, or of the caller where that one sends no spans. */
const ofEdge = (it: Answer, edge: Edge): string => traces(it, it.nodes.find((node) => node.name === edge.callee)?.kind === "peer" ? edge.caller : edge.callee, edge.change === "vanished");

export function Services() {
  const { params } = usePlace();
  const { asked } = useRange("1h");
  const service = params.get("service") ?? undefined;
  const answer = useAsk<Answer>(query("/api/service_graph", { service, ...asked }), 30);
  const names = useAsk<Names>(query("/api/traces/names", asked), 60).data;
  const it = answer.data;
  return (
    <main id="main">
      <h1 tabIndex={-1}>Services</h1>
      <Panel title="Which services" id="which" note={<RangeChoice usual="1h" />}>
        <div class="picks"><Pick label="Around" name="service" options={names?.services ?? []} all="all services" /></div>
        <p class="note">Who calls whom by the parents of spans, beside as long a time before.</p>
      </Panel>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!it ? !answer.error && <Loading what="services" /> : it.nodes.length === 0 ? (service ? <Panel title="Nothing is around this" id="none"><p class="quiet">No span of it is stored in this time. Choose a longer one, or <button type="button" class="btn small" onClick={() => set({ service: undefined })}>all services</button></p></Panel> : <First />) : (
        <>
          <Drawn it={it} />
          <Calls it={it} />
          <Each it={it} />
        </>
      )}
    </main>
  );
}

function Drawn({ it }: { it: Answer }) {
  const { spots, width, height } = placed(it.nodes.map((node) => node.name), it.edges);
  const most = Math.max(1, ...it.edges.map((edge) => Math.max(edge.requests, edge.before?.requests ?? 0)));
  const { nodes, edges } = it.left_out;
  return (
    <Panel title="Who calls whom" id="drawn" note={`${count(it.nodes.length, "service")}, ${count(it.edges.length, "edge")}; callers are on the left`}>
      {(nodes > 0 || edges > 0 || it.more) && <p class="note">Left out: {it.more && "at least "}{count(nodes, "service")} and {count(edges, "edge")} with fewer requests. Choose a service to see what is around it.</p>}
      {it.every > 1 && <p class="note">There are too many spans to read: of every {it.every}. trace, and counted {it.every} times.</p>}
      {!it.compared && <p class="note">Nothing is stored of the time before: what is new or worse can't be told.</p>}
      {it.strays > 0 && <p class="note">{count(it.strays, "request")} came from a caller whose span is not stored.</p>}
      <div class="scroll drawn" tabIndex={0} role="region" aria-label="Drawn graph of services">
        <svg class="calls" width={width} height={height}>
          {it.edges.map((edge) => <Arrow key={`${edge.caller}\u0000${edge.callee}`} it={it} edge={edge} from={spots.get(edge.caller)!} to={spots.get(edge.callee)!} most={most} />)}
          {it.edges.map((edge) => told(edge.change) && <Word key={`${edge.caller}\u0000${edge.callee}`} edge={edge} from={spots.get(edge.caller)!} to={spots.get(edge.callee)!} />)}
          {it.nodes.map((node) => <Box key={node.name} it={it} node={node} at={spots.get(node.name)!} />)}
        </svg>
      </div>
      <ul class="legend">
        <li><span class="note">thick: many requests</span></li><li><svg class="calls" width="30" height="8" aria-hidden="true"><path class="edge bad" d="M0 4H30" stroke-width="3" /></svg>worse, or 5 % and more failed</li><li><svg class="calls" width="30" height="8" aria-hidden="true"><path class="edge new warn" d="M0 4H30" stroke-width="3" /></svg>new</li><li><svg class="calls" width="30" height="8" aria-hidden="true"><path class="edge vanished" d="M0 4H30" stroke-width="3" /></svg>vanished</li><li><span class="note">round: sends no spans of its own</span></li>
      </ul>
    </Panel>
  );
}

function click(to: string): (event: MouseEvent) => void {
  return (event) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
}

function Arrow({ it, edge, from, to, most }: { it: Answer; edge: Edge; from: Spot; to: Spot; most: number }) {
  const self = edge.caller === edge.callee;
  const [x1, y1, x2, y2] = [from.x + WIDE, from.y + HIGH / 2, to.x, to.y + HIGH / 2];
  const bend = x2 > x1 ? (x2 - x1) / 2 : 60;
  const path = self ? `M${x1 - 40} ${from.y} C${x1 - 40} ${from.y - 22} ${x1 + 22} ${from.y - 10} ${x1} ${y1 - 10}` : `M${x1} ${y1} C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  const tip = self ? `M${x1 + 8} ${y1 - 16} L${x1} ${y1 - 10} L${x1 + 10} ${y1 - 7}` : `M${x2 - 9} ${y2 - 5} L${x2} ${y2} L${x2 - 9} ${y2 + 5}`;
  const requests = edge.requests || (edge.before?.requests ?? 0);
  const href = ofEdge(it, edge);
  const words = told(edge.change);
  const label = `${brief(named(edge.caller), 60)} to ${brief(named(edge.callee), 60)}: ${words && `${words}, `}${count(edge.requests, "request")}, ${percent(edge.error_ratio)} failed, 95 % within ${ms(edge.p95_ms)}`;
  return (
    <a href={href} onClick={click(href)} tabIndex={-1} aria-label={label}>
      <title>{label}</title>
      <path class={`edge ${look(edge)}`} d={path} stroke-width={1.2 + 5 * Math.sqrt(requests / most)} />
      <path class={`edge tip ${look(edge)}`} d={tip} stroke-width="2" />
    </a>
  );
}

/** What became of a call, above the lines of all others. */
function Word({ edge, from, to }: { edge: Edge; from: Spot; to: Spot }) {
  return <text class={`word ${look(edge)}`} x={(from.x + WIDE + to.x) / 2} y={(from.y + to.y + HIGH) / 2 - 6} text-anchor="middle" aria-hidden="true">{told(edge.change)}</text>;
}

function Box({ it, node, at }: { it: Answer; node: Node; at: Spot }) {
  const gone = node.change === "vanished" || !node.active;
  const href = node.kind === "peer" ? query("/graph", { service: node.name, from: it.from.toFixed(0), to: it.to.toFixed(0) }) : traces(it, node.name, gone);
  const numbers = node.requests ? `${whole(node.requests)} · ${percent(node.error_ratio)} · ${ms(node.p95_ms)}` : gone ? "no requests now" : "only calls others";
  return (
    <a href={href} onClick={click(href)} class={`node ${node.kind}`} aria-label={`${node.kind === "peer" ? "Calls of" : "Traces of"} ${brief(named(node.name), 60)}: ${told(node.change) && `${told(node.change)}, `}${count(node.requests, "request")}, ${percent(node.error_ratio)} failed, 95 % within ${ms(node.p95_ms)}`}>
      <rect class={gone ? "vanished" : look(node)} x={at.x} y={at.y} width={WIDE} height={HIGH} rx={node.kind === "peer" ? HIGH / 2 : 6} />
      <foreignObject x={at.x + 12} y={at.y + 3} width={WIDE - 24} height={HIGH - 6}><p class="node-name"><b><Said text={named(node.name)} most={60} /></b></p><p class="node-name note">{told(node.change) && <span class="why">{told(node.change)} </span>}{numbers}</p></foreignObject>
    </a>
  );
}

function Numbers({ of }: { of: Measures & { before: Measures | null } }) {
  const was = of.before;
  return (
    <>
      <td class="num">{whole(of.requests)}{was && <span class="note">{whole(was.requests)} before</span>}</td>
      <td class="num">{percent(of.error_ratio)}{was && <span class="note">{percent(was.error_ratio)} before</span>}</td>
      <td class="num">{ms(of.p50_ms)}, {ms(of.p95_ms)}{was && <span class="note">{ms(was.p50_ms)}, {ms(was.p95_ms)} before</span>}</td>
    </>
  );
}

const Became = ({ change }: { change: Change }) => <td>{told(change) ? <span class={change === "vanished" ? "tag" : "tag warn"}>{change}</span> : change === "same" ? "same" : "–"}</td>;

function Calls({ it }: { it: Answer }) {
  return (
    <Panel title="Calls" id="calls" note="changes first, then by requests">
      {it.edges.length === 0 ? <p class="quiet">No service calls another by these spans. Is the context of traces (traceparent) passed on?</p> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of calls">
          <table>
            <thead><tr><th scope="col">From</th><th scope="col">To</th><th scope="col">Change</th><th scope="col" class="num">Requests</th><th scope="col" class="num">Failed</th><th scope="col" class="num">Time 50 %, 95 %</th><th scope="col">Traces</th></tr></thead>
            <tbody>{it.edges.map((edge) => (
              <tr key={`${edge.caller}\u0000${edge.callee}`}>
                <th scope="row"><Said text={named(edge.caller)} most={60} /></th><td class="text"><Said text={named(edge.callee)} most={60} /></td><Became change={edge.change} /><Numbers of={edge} />
                <td><A to={ofEdge(it, edge)}>{edge.change === "vanished" ? "before" : "slowest"}<span class="sr"> traces of {brief(named(edge.caller), 60)} to {brief(named(edge.callee), 60)}</span></A></td>
              </tr>
            ))}</tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Each({ it }: { it: Answer }) {
  return (
    <Panel title="Each service" id="each" note="requests it was sent">
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of services">
        <table>
          <thead><tr><th scope="col">Service</th><th scope="col">Change</th><th scope="col" class="num">Requests</th><th scope="col" class="num">Failed</th><th scope="col" class="num">Time 50 %, 95 %</th><th scope="col">Traces</th></tr></thead>
          <tbody>{it.nodes.map((node) => (
            <tr key={node.name}>
              <th scope="row">{node.name ? <A to={query("/graph", { service: node.name, from: it.from.toFixed(0), to: it.to.toFixed(0) })}><Said text={node.name} most={60} /></A> : named(node.name)}{node.kind === "peer" && <span class="note"> sends no spans</span>}</th><Became change={node.change} /><Numbers of={node} />
              <td>{node.kind === "peer" || !node.name ? "–" : <A to={traces(it, node.name, !node.active)}>{node.active ? "slowest" : "before"}<span class="sr"> traces of {brief(node.name, 60)}</span></A>}</td>
            </tr>
          ))}</tbody>
        </table>
      </div>
    </Panel>
  );
}

function First() {
  const otlp = `export OTEL_EXPORTER_OTLP_ENDPOINT=${location.origin}\nexport OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`;
  return (
    <Panel title="Send spans of services" id="send-services" note="none came in this time">
      <h3>From programs with OpenTelemetry, each with its own service.name</h3>
      <Copy text={otlp} label="environment that sends spans" />
      <p class="note">An edge is drawn where a span of one service is the parent of a span of another, so the context of traces must be passed on.</p>
    </Panel>
  );
}
