// What the server says of traces. All texts in here come from spans: they are only ever shown as text.
export interface TraceRow {
  trace_id: string; start: string; duration_s: number; root: { service: string; name: string };
  matched: { service: string; name: string; duration_s: number; spans: number };
  spans: number; errors: number; services: number; calls: number; input_tokens: number | null; output_tokens: number | null;
  cost_usd: number | null; models: string[]; error_classes: string[];
}
export interface TraceList { from: string; to: string; traces: TraceRow[]; full: boolean }
export interface Names { services: string[]; operations: string[]; models: string[]; prompt_versions: string[]; error_classes: string[]; customers: string[] }
export interface SpanRow {
  id: string; parent: string | null; depth: number; name: string; service: string; kind: string; status: string; status_message: string;
  operation: string; provider: string; request_model: string; response_model: string; finish_reason: string; error_class: string; prompt_version: string; peer: string;
  at_s: number; duration_s: number; self_s: number; child_s: number; path_s: number; path: [number, number][];
  usual: { count: number; p50_s: number; p95_s: number; times: number | null; slow: boolean } | null;
  call: boolean; own: { input_tokens: number | null; output_tokens: number | null; cost_usd: number | null; time_to_first_token_s: number | null; retries: number | null };
  below: number; hidden: { spans: number; s: number };
  with_children: { calls: number; errors: number; input_tokens: number; output_tokens: number; cost_usd: number | null };
  marks: string[];
}
export interface Trace {
  trace_id: string; start: string; end: string; duration_s: number; title: { service: string; name: string };
  spans_held: number; spans_read: number; services: string[];
  totals: { calls: number; errors: number; input_tokens: number; output_tokens: number; cost_usd: number | null; priced: number };
  path_s: number; where: { service: string; name: string; path_s: number; share: number; spans: number }[];
  calls_to: { caller: string; callee: string; kind: "service" | "model" | "peer"; calls: number; total_s: number; errors: number; path_s: number }[];
  notes: string[]; spans: SpanRow[];
}
export interface Content { name: string; chars: number; kept: boolean; text: string }
export interface SentSpan {
  status_message: string; start: string; end: string; duration_s: number; attributes: Record<string, string>; resource: Record<string, string>;
  scope: string; content: Content[]; events: { name: string; time: string | null; attributes: Record<string, string>; content: Content[] }[];
  left_out: { attributes: number; events: number };
}
export interface Retrieval {
  span_id: string; name: string; service: string; count: number; top_score: number | null; left_out: number;
  documents: { id: string; score: number | null; kept: boolean; chars: number; text: string }[];
}
export interface Evaluation { name: string; said_as: string; score: number | null; label: string; judge: string; why: string; span_id: string; service: string; time: string | null }
export interface Answers { trace_id: string; retrievals: Retrieval[]; evaluations: Evaluation[]; left_out: { retrievals: number; evaluations: number } }
