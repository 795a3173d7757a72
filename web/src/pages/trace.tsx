// One trace: where the time went, the waterfall with its critical path, whom it called, and what each span told.
import { useMemo, useState } from "preact/hooks";
import { count } from "../format";
import { useAsk } from "../live";
import { A, brief, Copy, Fault, Labels, Loading, Panel, Said, Time } from "../parts";
import type { Answers, Content, Retrieval, SentSpan, SpanRow, Trace } from "../traces";
import { set, usePlace } from "../url";
import { took, usd } from "./traces";

const MORE = 2000;
const MARKS: Record<string, [string, string]> = {
  orphan: ["no parent", "its parent has not arrived"], circle: ["circle", "its parents form a circle, which was cut"],
  late: ["late", "it came over a minute after the first span of this trace"], outside: ["outside", "a part of it is outside of the time of its parent"],
  negative: ["no length", "it ends before it begins"],
};
const percent = (share: number): string => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

export function One({ id }: { id: string }) {
  const { params } = usePlace();
  const answer = useAsk<Trace>(`/api/traces/${id}${params.has("all") ? `?most=${MORE}` : ""}`, 300);
  const it = answer.data;
  return (
    <main id="main">
      <p class="crumbs"><A to="/traces">← all traces</A></p>
      <h1 tabIndex={-1}>{it ? <><Said text={it.title.name || "(no name)"} most={200} /> <span class="note"><Said text={it.title.service} most={80} /></span></> : "Trace"}</h1>
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!it ? !answer.error && <Loading what="the trace" /> : <Body it={it} />}
    </main>
  );
}

function Body({ it }: { it: Trace }) {
  const { totals } = it;
  return (
    <>
      <dl class="facts panel">
        <div><dt>Took</dt><dd>{took(it.duration_s)}<span class="note">from <Time at={it.start} seconds /></span></dd></div>
        <div><dt>Spans</dt><dd>{count(it.spans_held, "span")}<span class="note">in {count(it.services.length, "service")}: <Said text={it.services.join(", ")} /></span></dd></div>
        <div><dt>Errors</dt><dd>{totals.errors ? <span class="sev error"><span aria-hidden="true">◆</span> {totals.errors}</span> : "none"}</dd></div>
        {totals.calls > 0 && <div><dt>Calls of models</dt><dd>{totals.calls}<span class="note">{totals.input_tokens.toLocaleString("en")} tokens in, {totals.output_tokens.toLocaleString("en")} out</span></dd></div>}
        {totals.calls > 0 && <div><dt>Cost</dt><dd>{totals.cost_usd === null ? "not known" : usd(totals.cost_usd)}<span class="note">{totals.cost_usd === null ? "no span told it, and no price is known" : totals.priced < totals.calls ? `of ${totals.priced} of ${totals.calls} calls; the others have no price` : "of all calls, each counted once"}</span></dd></div>}
        <div><dt>Id</dt><dd class="mono">{it.trace_id}<span class="note"><a href={`/api/traces/${it.trace_id}`}>as JSON</a></span></dd></div>
      </dl>
      {it.notes.length > 0 && <ul class="list note" aria-label="What is odd about this trace">{it.notes.map((each) => <li key={each}>{each}</li>)}</ul>}
      <div class="pair">
        <Where it={it} />
        <CallsTo it={it} />
      </div>
      <Judged id={it.trace_id} />
      <Waterfall it={it} />
    </>
  );
}

/** What was retrieved for the answers of this trace, and how they were judged; nothing where nothing tells of either. */
function Judged({ id }: { id: string }) {
  const answer = useAsk<Answers>(`/api/traces/${id}/answers`, 60);
  const it = answer.data;
  if (answer.error) return <Fault error={answer.error} again={answer.again} />;
  if (!it || (it.retrievals.length === 0 && it.evaluations.length === 0)) return null;
  const of = (span: string): string => `/traces/${id}?span=${span}`;
  return (
    <Panel title="What was retrieved, and how it was judged" id="judged">
      {it.evaluations.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of evaluations">
          <table>
            <thead><tr><th scope="col">Judged</th><th scope="col" class="num">Score</th><th scope="col">Verdict</th><th scope="col">By</th><th scope="col">Of</th></tr></thead>
            <tbody>{it.evaluations.map((row, i) => <tr key={i}><th scope="row"><Said text={row.name || "(no name)"} most={60} />{row.said_as && row.said_as !== row.name && <span class="note">sent as <Said text={row.said_as} most={60} /></span>}{row.why && <span class="note"><Said text={row.why} most={300} /></span>}</th><td class="num">{row.score === null ? "–" : row.score.toPrecision(3)}</td><td class="text"><Said text={row.label || "–"} most={60} /></td><td class="text"><Said text={row.judge || row.service || "–"} most={60} /></td><td>{/[^0]/.test(row.span_id) ? <A to={of(row.span_id)}>span</A> : "the trace"}</td></tr>)}</tbody>
          </table>
        </div>
      )}
      {it.retrievals.map((row, i) => <Documents key={i} it={row} to={of(row.span_id)} />)}
      {it.left_out.retrievals + it.left_out.evaluations > 0 && <p class="note">{count(it.left_out.retrievals, "further retrieval")} and {count(it.left_out.evaluations, "further evaluation")} not shown.</p>}
    </Panel>
  );
}

function Documents({ it, to }: { it: Retrieval; to: string }) {
  return (
    <>
      <h3><A to={to}><Said text={it.name || "(no name)"} most={80} /></A> found {count(it.count, "document")}{it.top_score !== null && `, the best scored ${it.top_score.toPrecision(3)}`}</h3>
      {it.documents.length === 0 ? it.count > 0 && <p class="note">Their texts and ids are not kept (<code>redaction.keep_content</code> would keep them).</p> : (
        <ol class="list">{it.documents.map((each, i) => (
          <li key={i}>
            <span><Said text={each.id || `document ${i + 1}`} most={120} /> <span class="note">{each.score === null ? "no score" : `score ${each.score.toPrecision(3)}`}</span></span>
            {each.kept ? <details class="as-table"><summary>Text, {count(each.chars, "character")}</summary><Copy text={each.text} label={`text of ${brief(each.id || `document ${i + 1}`, 60)}`} />{each.chars > each.text.length && <p class="note">The first {each.text.length.toLocaleString("en")} characters are shown.</p>}</details> : <span class="note">text not kept</span>}
          </li>
        ))}</ol>
      )}
      {it.left_out > 0 && <p class="note">{count(it.left_out, "further document")} not shown.</p>}
    </>
  );
}

function Where({ it }: { it: Trace }) {
  return (
    <Panel title="Where the time went" id="where" note="own time on the critical path">
      <ul class="shares">
        {it.where.map((row, i) => (
          <li key={i}>
            <span><b><Said text={row.name} most={80} /></b> <span class="note"><Said text={row.service} most={60} />{row.spans > 1 && ` · ${row.spans} spans`}</span></span>
            <span class="num">{took(row.path_s)} <b>{percent(row.share)}</b></span>
            <svg width="100%" height="8" aria-hidden="true"><rect class="now-bar" width={`${100 * row.share}%`} height="8" rx="2" /></svg>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function CallsTo({ it }: { it: Trace }) {
  return (
    <Panel title="Whom it called" id="calls-to">
      {it.calls_to.length === 0 ? <p class="quiet">No span names another service, model or server.</p> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of dependencies">
          <table>
            <thead><tr><th scope="col">Called</th><th scope="col">By</th><th scope="col" class="num">Calls</th><th scope="col" class="num">Errors</th><th scope="col" class="num">Took</th></tr></thead>
            <tbody>{it.calls_to.map((row, i) => <tr key={i}><th scope="row"><Said text={row.callee} most={80} /><span class="note">{row.kind === "peer" ? "sent no spans of its own" : row.kind}</span></th><td class="text"><Said text={row.caller} most={60} /></td><td class="num">{row.calls.toLocaleString("en")}</td><td class="num">{row.errors || "–"}</td><td class="num">{took(row.total_s)}</td></tr>)}</tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

/** Ids of spans below closed ones. */
function hiddenBy(spans: SpanRow[], closed: Set<string>): Set<string> {
  const found = new Set<string>();
  for (const row of spans) if (row.parent !== null && (closed.has(row.parent) || found.has(row.parent))) found.add(row.id);
  return found;
}

function Waterfall({ it }: { it: Trace }) {
  const { params } = usePlace();
  const [closed, setClosed] = useState<Set<string>>(new Set());
  const onlyPath = params.has("path");
  const hidden = useMemo(() => hiddenBy(it.spans, closed), [it, closed]);
  const kept = useMemo(() => (onlyPath ? it.spans.filter((row) => row.path_s > 0 || row.parent === null) : it.spans.filter((row) => !hidden.has(row.id))), [it, hidden, onlyPath]);
  const parents = useMemo(() => new Set(it.spans.map((row) => row.parent)), [it]);
  const chosen = params.get("span");
  const turn = (id: string, shut: boolean): void => { const next = new Set(closed); if (shut) next.add(id); else next.delete(id); setClosed(next); };
  const key = (event: KeyboardEvent): void => {
    const id = (event.target as Element).closest<HTMLElement>("[data-nav]")?.dataset["nav"];
    if (!id || !parents.has(id) || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) return;
    turn(id, event.key === "ArrowLeft");
    event.preventDefault();
  };
  const partly = it.spans.length < it.spans_read;
  return (
    <Panel title="Waterfall" id="waterfall" note={<><kbd>j</kbd> <kbd>k</kbd> go from span to span, <kbd>←</kbd> <kbd>→</kbd> fold and unfold</>}>
      <div class="row choices">
        <button type="button" class="btn small" aria-pressed={onlyPath} onClick={() => set({ path: onlyPath ? undefined : "1" }, true)}>critical path only</button>
        {partly && !params.has("all") && it.spans.length < MORE && <button type="button" class="btn small" onClick={() => set({ all: "1" })}>draw up to {MORE.toLocaleString("en")} spans</button>}
        <span class="note legend"><span><svg width="18" height="10" aria-hidden="true"><rect class="wf-all" width="18" height="10" /></svg> span</span><span><svg width="18" height="10" aria-hidden="true"><rect class="wf-path" y="3" width="18" height="4" /></svg> critical path</span><span><svg width="18" height="10" aria-hidden="true"><rect class="wf-all bad" x="1" y="1" width="16" height="8" /></svg> error</span></span>
      </div>
      <ol class="waterfall" onKeyDown={key}>
        {kept.map((row) => <Bar key={row.id} row={row} it={it} open={!closed.has(row.id)} folds={!onlyPath && parents.has(row.id)} turn={turn} chosen={row.id === chosen} />)}
      </ol>
    </Panel>
  );
}

function Bar({ row, it, open, folds, turn, chosen }: { row: SpanRow; it: Trace; open: boolean; folds: boolean; turn: (id: string, shut: boolean) => void; chosen: boolean }) {
  const { params } = usePlace();
  const all = it.duration_s || 1e-9;
  const at = (seconds: number): string => `${Math.min(100, (100 * seconds) / all)}%`;
  const wide = (seconds: number): string => `${Math.max(0.15, (100 * seconds) / all)}%`;
  const to = new URLSearchParams(params);
  if (chosen) to.delete("span"); else to.set("span", row.id);
  const text = to.toString();
  const bad = row.status === "error";
  const below = row.with_children;
  return (
    <li class={chosen ? "chosen" : ""}>
      <div class="wf-row">
        <div class={`wf-name d${Math.min(row.depth, 12)}`}>
          {folds ? <button type="button" class="fold" aria-expanded={open} aria-label={`${open ? "Fold" : "Unfold"} ${brief(row.name, 60)}`} onClick={() => turn(row.id, open)}>{open ? "▾" : "▸"}</button> : <i class="fold" aria-hidden="true" />}
          <span>
            <span class="sr">level {row.depth + 1}: </span>
            <A to={`/traces/${it.trace_id}${text ? `?${text}` : ""}`} data-nav={row.id} data-go="" aria-current={chosen ? "true" : undefined}><Said text={row.name || "(no name)"} most={80} /></A> <span class="note"><Said text={row.service} most={40} /></span>
            {bad && <span class="tag warn">{row.error_class ? row.error_class.replaceAll("_", " ") : "error"}</span>}
            {row.marks.map((mark) => <span key={mark} class="tag" title={MARKS[mark]?.[1]}>{MARKS[mark]?.[0] ?? mark}</span>)}
            {row.usual?.slow && <span class="tag warn" title={`${row.usual.count.toLocaleString("en")} of the day before: half within ${took(row.usual.p50_s)}, 95 % within ${took(row.usual.p95_s)}`}>{row.usual.times !== null ? `${row.usual.times.toFixed(1)}× the usual` : "slower than usual"}</span>}
            {row.call && <span class="note under">{row.own.input_tokens === null ? "tokens not known" : `${row.own.input_tokens.toLocaleString("en")} tokens in`}{row.own.output_tokens !== null && `, ${row.own.output_tokens.toLocaleString("en")} out`}{row.own.cost_usd !== null && ` · ${usd(row.own.cost_usd)}`}{row.own.retries !== null && row.own.retries > 0 && ` · tried again ${row.own.retries === 1 ? "once" : `${row.own.retries} times`}`}{row.own.time_to_first_token_s !== null && ` · first token after ${took(row.own.time_to_first_token_s)}`}{row.prompt_version && <> · prompt <Said text={row.prompt_version} most={40} /></>}</span>}
            {!row.call && !open && below.calls > 0 && <span class="note under">{count(row.below, "span")} below: {count(below.calls, "model call")}, {below.input_tokens.toLocaleString("en")} tokens in, {below.output_tokens.toLocaleString("en")} out{below.cost_usd !== null && ` · ${usd(below.cost_usd)}`}</span>}
            {row.hidden.spans > 0 && <span class="note under">and {count(row.hidden.spans, "span")} below, not drawn, {took(row.hidden.s)} together</span>}
          </span>
        </div>
        <div class="wf-took num"><b>{took(row.duration_s)}</b><span class="note"> own {took(row.self_s)}</span></div>
        <svg class="wf-bar" width="100%" height="16" aria-hidden="true">
          <rect class={bad ? "wf-all bad" : "wf-all"} x={at(row.at_s)} y="1" width={wide(row.duration_s)} height="14" rx="2" />
          {row.path.map(([from, until], i) => <rect key={i} class="wf-path" x={at(from)} y="5" width={wide(until - from)} height="6" />)}
        </svg>
      </div>
      {chosen && <Detail row={row} id={it.trace_id} />}
    </li>
  );
}

function Detail({ row, id }: { row: SpanRow; id: string }) {
  const answer = useAsk<{ sent: SentSpan[] }>(`/api/traces/${id}/spans/${row.id.split("~")[0]}`, 3600);
  const sent = answer.data?.sent ?? [];
  const below = row.with_children;
  return (
    <div class="wf-detail" role="region" aria-label={`Span ${brief(row.name, 60)}`}>
      <dl class="facts">
        <div><dt>Time</dt><dd>{took(row.duration_s)}<span class="note">{took(row.self_s)} its own, {took(row.child_s)} while children ran, {took(row.path_s)} of its own on the critical path</span></dd></div>
        <div><dt>Beside its past</dt><dd>{row.usual ? <>{row.usual.slow ? "slower than 95 %" : row.usual.times !== null && row.usual.times < 1 ? "faster than half" : "as usual"}<span class="note">of {row.usual.count.toLocaleString("en")} on the day before half took at most {took(row.usual.p50_s)}, 95 % at most {took(row.usual.p95_s)}</span></> : <span class="note">fewer than 20 of this operation on the day before: too few to say</span>}</dd></div>
        {below.calls > 0 && <div><dt>With all below</dt><dd>{count(below.calls, "model call")}<span class="note">{below.input_tokens.toLocaleString("en")} tokens in, {below.output_tokens.toLocaleString("en")} out, cost {below.cost_usd === null ? "not known" : usd(below.cost_usd)}</span></dd></div>}
        <div><dt>Kind</dt><dd>{row.kind}{row.operation && `, ${row.operation.replaceAll("_", " ")}`}<span class="note">status {row.status}{row.finish_reason && `, finished by ${row.finish_reason}`}</span></dd></div>
      </dl>
      {row.status_message && <p class="say"><Said text={row.status_message} most={500} /></p>}
      {answer.error && <Fault error={answer.error} again={answer.again} />}
      {!answer.data ? !answer.error && <Loading what="the span" /> : sent.map((each, i) => <Sent key={i} it={each} n={sent.length > 1 ? i + 1 : 0} />)}
    </div>
  );
}

function Sent({ it, n }: { it: SentSpan; n: number }) {
  return (
    <>
      {n > 0 && <h3>As it was sent, {n}</h3>}
      {it.content.length > 0 && <h3>Prompts and completions</h3>}
      {it.content.map((each) => <Text key={each.name} it={each} />)}
      <h3>Attributes</h3>
      <Labels labels={it.attributes} />
      {it.left_out.attributes > 0 && <p class="note">{count(it.left_out.attributes, "further attribute")} not shown.</p>}
      <h3>Resource</h3>
      <Labels labels={it.resource} />
      {it.events.length > 0 && <><h3>Events</h3><ul class="list">{it.events.map((each, i) => <li key={i}><span><Time at={each.time} seconds /> <b><Said text={each.name} most={80} /></b></span><Labels labels={each.attributes} />{each.content.map((text) => <Text key={text.name} it={text} />)}</li>)}</ul></>}
      {it.left_out.events > 0 && <p class="note">{count(it.left_out.events, "further event")} not shown.</p>}
    </>
  );
}

/** A prompt or completion: folded, because it is long and may be private. */
function Text({ it }: { it: Content }) {
  if (!it.kept) return <p class="note"><Said text={it.name} most={80} />: <Said text={it.text} /> (not kept; <code>redaction.keep_content</code> would keep it)</p>;
  return (
    <details class="as-table">
      <summary><Said text={it.name} most={80} />, {count(it.chars, "character")}</summary>
      <Copy text={it.text} label={brief(it.name, 60)} />
      {it.chars > it.text.length && <p class="note">The first {it.text.length.toLocaleString("en")} characters are shown.</p>}
    </details>
  );
}
