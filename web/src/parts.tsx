// Small parts that every page uses.
import { Fragment, type ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { IncidentState, Problem, Severity, Summary } from "./api";
import { clock, count, moment, span, utc } from "./format";
import { go } from "./url";

const GLYPH: Record<Severity, string> = { critical: "▲", error: "◆", warning: "■", info: "●" };

/** Severity by shape and word; colour only repeats them. */
export function Sev({ severity, state }: { severity: Severity; state?: IncidentState }) {
  if (state === "resolved") return <span class="sev ok"><span aria-hidden="true">✓</span> resolved <span class="was">({severity})</span></span>;
  return <span class={`sev ${severity}`}><span aria-hidden="true">{GLYPH[severity]}</span> {severity}</span>;
}

export function Time({ at, seconds = false }: { at: string | null; seconds?: boolean }) {
  if (!at) return <>–</>;
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return <>{at}</>;
  return <time dateTime={at} title={`${utc(date)} (shown in local time)`}>{moment(date, new Date(), seconds)}</time>;
}

export const ago = (at: string, now: string | undefined): string => {
  const s = (Date.parse(now ?? "") || Date.now()) / 1000 - Date.parse(at) / 1000;
  return s < 0 ? `in ${span(-s)}` : `${span(s)} ago`;
};

interface AProps {
  to: string; children: ComponentChildren; class?: string; title?: string;
  "aria-current"?: "page" | "true" | undefined;
  "data-nav"?: string; "data-go"?: string; "data-next"?: string; "data-previous"?: string;
}

export function A({ to, children, ...rest }: AProps) {
  const click = (event: MouseEvent): void => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return <a {...rest} href={to} onClick={click}>{children}</a>;
}

export function Panel({ title, children, id, note }: { title: string; children: ComponentChildren; id: string; note?: ComponentChildren }) {
  return <section class="panel" aria-labelledby={id}><div class="head"><h2 id={id}>{title}</h2>{note && <p class="note">{note}</p>}</div>{children}</section>;
}

export function Fault({ error, again }: { error: Problem; again?: () => void }) {
  return (
    <div class="fault" role="alert">
      <p><b>{error.detail}</b></p>
      {error.next && <p>{error.next}</p>}
      {again && <button type="button" class="btn" onClick={again}>Try again</button>}
    </div>
  );
}

export function Loading({ what }: { what: string }) {
  const [late, setLate] = useState(false);
  useEffect(() => { const timer = setTimeout(() => setLate(true), 150); return () => clearTimeout(timer); }, []);
  return <p class="loading" role="status">{late ? `Loading ${what} …` : ""}</p>;
}

export function Copy({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState("");
  const box = useRef<HTMLPreElement>(null);
  const copy = (): void => {
    const mark = (): void => {
      // without the clipboard (plain http on another machine) the text is at least selected
      const range = document.createRange();
      range.selectNodeContents(box.current!);
      getSelection()?.removeAllRanges();
      getSelection()?.addRange(range);
      setDone("selected: press Ctrl+C");
    };
    if (!navigator.clipboard) mark();
    else navigator.clipboard.writeText(text).then(() => setDone("copied"), mark);
    setTimeout(() => setDone(""), 4000);
  };
  return (
    <div class="copy">
      <pre ref={box} tabIndex={0} aria-label={label}>{text}</pre>
      <button type="button" class="btn" onClick={copy} aria-label={`Copy: ${label}`}>{done || "Copy"}</button>
    </div>
  );
}

/** The start of a text that may be huge; no half of a character. */
export const brief = (text: string, most = 160): string =>
  text.length > most ? `${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…` : text;

/** Characters that show nothing and change how others look: controls, and those that turn the direction of writing. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/g;

/** Text from telemetry, apart from the direction of what stands around it; more of what is too long on hover. */
export function Said({ text, most = 160 }: { text: string; most?: number }) {
  const seen = text.slice(0, 4000).replace(UNSEEN, "\u00b7");
  return <bdi title={seen.length > most ? brief(seen, 2000) : undefined}>{brief(seen, most)}</bdi>;
}

/** A name of a signal: it breaks behind its separators, not within a word. */
export function Name({ text }: { text: string }) {
  const seen = brief(text.slice(0, 4000).replace(UNSEEN, "\u00b7"));
  return <bdi>{seen.split(/(?<=[._:/-])(?=[^._:/-])/).map((part, i) => <Fragment key={i}>{i > 0 && <wbr />}{part}</Fragment>)}</bdi>;
}

export function Labels({ labels }: { labels: Record<string, string> }) {
  const pairs = Object.entries(labels);
  if (!pairs.length) return <span class="note">no labels</span>;
  return <span class="labels">{pairs.map(([key, value]) => <span key={key} class="label"><Said text={key} most={80} />=<b><Said text={value} /></b></span>)}</span>;
}

export function Card({ incident, now, current, from }: { incident: Summary; now?: string | undefined; current: boolean; from?: string }) {
  const since = incident.resolved_at
    ? `${clock(new Date(incident.opened_at))} to ${clock(new Date(incident.resolved_at))}`
    : `since ${moment(new Date(incident.opened_at), new Date())}, ${ago(incident.opened_at, now)}`;
  return (
    <A to={`/incidents/${encodeURIComponent(incident.id)}${from ?? ""}`} class="card" data-nav={incident.id} aria-current={current ? "true" : undefined}>
      <span class="line"><Sev severity={incident.severity} state={incident.state} />{incident.state === "acknowledged" && <span class="tag">acknowledged</span>}{incident.silenced && <span class="tag warn">silenced until {moment(new Date(incident.silenced.ends_at), new Date())}</span>}{incident.late && <span class="tag">late data</span>}{incident.reopened > 0 && <span class="tag">reopened {incident.reopened}×</span>}</span>
      <bdi class="title">{incident.title}</bdi>
      <span class="note" title={utc(new Date(incident.opened_at))}>{since} · {count(incident.findings, "signal")}{incident.cause && incident.cause.kind !== "unknown" ? ` · probably ${incident.cause.kind}: ${brief(incident.cause.what)}` : ""}</span>
    </A>
  );
}
