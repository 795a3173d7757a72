// What the server says, and how to ask it. All texts in here come from telemetry: they are only ever shown as text.
export type Severity = "info" | "warning" | "error" | "critical";
export type IncidentState = "open" | "acknowledged" | "resolved";

export interface Summary {
  id: string; title: string; statement: string; severity: Severity; state: IncidentState;
  opened_at: string; updated_at: string; resolved_at: string | null;
  entities: string[]; findings: number; late: boolean; reopened: number;
  cause: { kind: string; what: string; score: number } | null;
  silenced: Silence | null;
}
export interface Silence { id: string; matchers: Record<string, string>; starts_at: string; ends_at: string; by: string; note: string; over: boolean; incidents?: number }
export type Urgency = "page" | "chat" | "ticket" | "review";
/** Its place between impact and confidence; empty where it was never graded. */
export interface Place { impact_level: "" | "high" | "low" | "unknown"; confidence_level: "" | "high" | "low"; urgency: "" | Urgency; expected_loss: number | null }
export type Verdict = "real_problem" | "false_alarm";
export interface Feedback { time: string; verdict: Verdict; by: string; note: string }
export interface Change { time: string; kind: string; entity: string; what: string; source: string }
export interface Learning { warm: number; learning: number; first_at: string | null }
export interface OwnNumber { process: string; name: string; labels: string; value: number }
export interface Own { drops: OwnNumber[]; refusals: OwnNumber[]; lags: OwnNumber[]; received: OwnNumber[]; processes: OwnNumber[] }
export interface Overview {
  now: string; version: string;
  health: { state: "empty" | "learning" | "ok" | "warning" | "critical" | "blind"; sentence: string };
  incidents: Summary[]; resolved: Summary[]; silences: Silence[];
  strip: { from: number; to: number; rows: { name: string; worst: (number | null)[] }[] };
  states: Record<string, number>; learning: Learning;
  blind: { what: string; why: string; link: string }[];
  changes: Change[]; own: Own;
}
export interface Finding {
  id: string; monitor: string; signal: string; entity: string; start: string; end: string; value: number | null;
  expected: [number | null, number | null]; log10_p: number | null; n_eff: number | null; level: number | null;
  direction: string; series_id: string; unit: string; labels: Record<string, string>;
  evidence: Record<string, unknown>; severity: Severity;
}
export interface Cause { kind: string; entity: string; what: string; score: number; evidence: string[]; refuted_by: string[]; links: string[] }
export interface Sent { id: string; destination: string; action: string; state: string; created_at: string; sent_at: string | null; attempts: number; dry_run: boolean; reason: string }
export interface Example { role: string; words: string; trace_id: string; service: string; operation: string; start: string; duration_s: number }
export interface Moment extends Change { type: "change" | "finding" | "life" }
/** What a reference stems from; the link is "" or a plain address. */
export interface Origin { kind: "experiment" | "run" | "dataset"; name: string; link: string }
export interface Incident extends Omit<Summary, "findings" | "cause">, Place {
  team: string | null; route: string; monitor_runbooks: string[];
  now: string; severity_arithmetic: string; impact: Record<string, unknown>; dedup_key: string;
  findings: Finding[]; causes: Cause[]; changes: Change[]; pages: Sent[]; timeline: Moment[]; feedback: Feedback[];
  lineage: Origin[]; runbooks: { title: string; url: string }[];
  escalation: { level: number; of: number; to: string[]; at: string } | null;
}
/** A piece of evidence; the link is a path of these pages or an address. */
export interface Source { kind: string; ref: string; link: string }
export interface Sentence { part: "what" | "why" | "next"; text: string; sources: Source[] }
export interface Told { sentences: Sentence[]; rephrased: Sentence[]; rephrased_at: string | null; model: string }
export interface Line {
  series_id: string; signal: string; unit: string; monitor: string; labels: Record<string, string>;
  time: number[]; value: (number | null)[]; lower: (number | null)[]; upper: (number | null)[]; log10_p: (number | null)[];
  findings?: [number, number][];
}
export interface IncidentSignals { from: number; to: number; signals: Line[]; left_out: number; changes: Change[] }
export interface Lines { from: number; to: number; lines: Line[] }
export interface SignalRow { name: string; unit: string; kind: string; series: number; last_time: string | null }
export interface SeriesRow { id: string; labels: Record<string, string>; unit: string; last_time: string | null; last_value: number | null; state: string; since: string | null; cadence_s?: number }
export interface Destination { name: string; type: string; target: string; dry_run: boolean; pending: number; failed: number; last_ok_at: string | null; last_error: string }
export interface Status { now: string; version: string; not_ready: string[]; notices: string[]; config_faults: string[]; unseen: string[]; states: Record<string, number>; learning: Learning; own: Own; scopes: string[] }
export interface Window { id: string; name: string; match: Record<string, string[]>; starts: string; lasts_s: number | null; every: string | null; time_zone: string; calendar: boolean; holds: boolean; ends_at: string | null; planned: boolean; by: string; note: string }
export interface Windows { windows: Window[]; now: string }
export interface Applied { time: string; sha256: string; by: string; size_bytes: number }
export interface AuditEntry { seq: number; time: string; actor: string; action: string; subject: string; detail: Record<string, unknown>; previous: string; sha256: string }
export interface Session { signed_in: boolean; open: boolean; tenant: string; scopes: string[] }

export interface TeamReview {
  team: string; promised_per_week: number; incidents: number; real: number; false_alarms: number; unsaid: number;
  false_per_week: number; at_most_per_week: number; kept: "yes" | "no" | "unsaid";
}
export interface Reviewed extends Summary, Place { team: string; said: Feedback | null; sent: number; paged: boolean; why: { reason: string; to: string[] }[]; route: string }
export interface RouteReview { route: string; incidents: number; paged: number; held: number; unsaid: number }
export interface Rollout { phase: 1 | 2 | 3; configured: boolean; words: string; since?: string; by?: string; second?: string | null; third?: string | null }
export interface OnCall { schedule: string; people: string[]; to: string[] }
export interface ModelStanding {
  monitor: string; model: string; sha256: string; in_force_since: string; due: boolean; due_at: string | null; reasons: { at: string; text: string }[];
  false_alarms: number; judged: number; missed: number; real: number; foreign_share: number | null; put_off_at: string | null; put_off_by: string;
}
export interface Review { from: string; to: string; days: number; teams: TeamReview[]; models: ModelStanding[]; board: { squares: Record<Urgency, number>; routes: RouteReview[] }; incidents: Reviewed[] }

export class Problem extends Error {
  constructor(readonly status: number, readonly detail: string, readonly next: string) { super(detail); }
}

export async function ask<T>(url: string, init: RequestInit = {}): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(url, { credentials: "same-origin", ...init });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    throw new Problem(0, "The server does not answer.", "Is `tocsin serve` running? This page tries again by itself.");
  }
  if (answer.ok) return (await answer.json()) as T;
  const body = (await answer.json().catch(() => ({}))) as { detail?: string; next?: string };
  const gone = answer.status >= 502 && !body.detail;
  throw new Problem(
    gone ? 0 : answer.status,
    body.detail ?? (gone ? "The server is starting or busy." : `The server answered ${answer.status}.`),
    body.next ?? "",
  );
}

export const act = <T>(url: string, body: unknown = {}, method = "POST"): Promise<T> =>
  ask<T>(url, { method, headers: { "content-type": "application/json" }, ...(method === "POST" ? { body: JSON.stringify(body) } : {}) });

export const query = (path: string, params: Record<string, string | number | undefined>): string => {
  const found = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) if (value !== undefined && value !== "") found.set(key, String(value));
  const text = found.toString();
  return text ? `${path}?${text}` : path;
};
