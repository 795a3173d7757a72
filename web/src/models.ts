// What the server says of models. All texts in here come from records: they are only ever shown as text.
import type { Origin, Summary } from "./api";
export interface Measure { value: number | null; low: number | null; high: number | null; n: number; note?: string }
export type Measures = Record<string, Measure>;
export interface ModelRow { model: string; rows: number; first_time: string; last_time: string; versions: string[]; version_count: number; with_truth: number }
export interface ModelList { from: string; to: string; models: ModelRow[] }
export interface Bucket { from: string; to: string; rows: number; coverage: number; realised: Measures; estimated: Measures; corrected: boolean; reasons: string[] }
export interface Performance {
  task: string; positive: string | null; measures: string[]; step_s: number; rows: number; truth: number; coverage: number;
  realised: Measures; estimated: Measures; reference: Measures; buckets: Bucket[]; reasons: string[]; worse: { from: string; reasons: string[] }[]; say: string; notes: string[];
}
export interface DriftRow {
  id: string; name: string; part: "feature" | "output" | "embedding" | "behaviour"; kind: string; n: number; reference_n: number; psi: number | null; band: string | null;
  p_value: number; log10_e: number; alarm: boolean; reason: string; notes: string[];
}
export interface Bar { label: string; reference: number; current: number }
export interface Overlay { feature: string; said: string; n: number; reference_n: number; bars: Bar[]; edges: number[] }
export interface Law { law: string; name: string; state: "moved" | "no move shown" | "unknown"; said: string }
export interface Attributed { feature: string; place: number | null; place_before: number | null; reference: Measure | null; current: Measure | null; alarm: boolean; psi: number | null; reason: string }
export interface Behaviour { rows: DriftRow[]; overlays: Overlay[]; refusal: { reference: Measure; current: Measure } | null; attributions: Attributed[]; say: string }
export interface Violation { fault: string; feature: string; count: number; rows: number; expected: number; example: string; said: string; alarm: boolean }
export interface Quality { rows: Violation[]; alarms: number; more: number; checked: number; say: string }
export interface RankBucket { from: string; to: string; rows: number; values: Measures }
export interface Ranking { measures: string[]; step_s: number; current: Measures; reference: Measures; buckets: RankBucket[]; reasons: string[]; notes: string[]; say: string }
export interface Drift { rows: DriftRow[]; policy: { level: number; min_effect: number; min_n: number }; left_out: { name: string; why: string }[]; overlay: Overlay | null; say: string }
export interface Slice { name: string; where: [string, string][]; n: number; mean: Measure; rest: Measure; excess: Measure; p_value: number; records?: number }
export interface Segments { loss: string; by: string; rows: Slice[]; more: number; worst: Slice[]; overall: Measure | null; tested: number; left_out: string[]; say: string }
export interface Group { group: string; n: number; selection_rate: Measure; base_rate: Measure; true_positive_rate: Measure; false_positive_rate: Measure; calibration: Measure }
export interface Gap extends Measure { criterion: string; limit: number; judgement: "held" | "violated" | "unclear" | "undefined"; lower_group: string; higher_group: string; reason: string }
export interface Fairness { group: string; positive?: string | null; groups?: Group[]; gaps?: Gap[]; too_small?: string[]; say: string; able?: boolean }
export interface VersionRow { version: string; rows: number; first_time: string; last_time: string; value: Measure }
export interface Verdict { treatment: string; outcome: string; n: [number, number]; means: (number | null)[]; difference: number | null; lower: number | null; upper: number | null; lift: number | null; p_value: number | null; decided_at: number | null; reason: string }
export interface Look { rows: number; treatments: { difference: number | null; lower: number | null; upper: number | null; outcome: string }[] }
/** Arms of a model compared by all records since they ran side by side. */
export interface Experiment {
  arm: string; metric: string; from: string; control: string; behind: boolean; notes: string[]; known_rows: number; method: string | null; level?: number;
  arms: { arm: string; rows: number; share?: number; missing?: number; mean?: number | null }[];
  ratio: { p_value: number | null; mismatch: boolean; level: number } | null; treatments: Verdict[]; looks: Look[]; say: string;
}
export interface Versions { rows: VersionRow[]; metric: string; metrics: string[]; arms: string[]; say: string }
export interface Side { rows: number; of: number; from: string; to?: string; how?: string }
export interface Health {
  model: string; from: string; to: string; current: Side; reference: Required<Side>; last_time: string; all_versions: string[]; notes: string[];
  lineage: Origin[];
  names: { tags: Record<string, string[]>; features: string[] };
  incidents: Summary[];
  performance: Performance | null; ranking: Ranking | null; drift: Drift | null; laws: Law[] | null; behaviour: Behaviour | null; quality: Quality | null;
  segments: Segments | null; fairness: Fairness | null; versions: Versions | null;
}
/** What is known at once, before anything is computed. */
export interface Brief { model: string; from: string; to: string; last_time: string; all_versions: string[]; versions: { version: string; rows: number; first_time: string; last_time: string }[]; incidents: Summary[] }

/** Health of days, of models and everything else that is judged. */
export interface Term { term: string; kind: string; value: number | null; unit: string; good: number | null; bad: number | null; cost: number | null; worth: number; usual: number | null; samples: number; note: string }
export interface Day { day: string; score: number | null; at_worst: number; word: string; terms: Term[]; unmeasured: string[] }
export interface Judged { day: string | null; judged_at: string | null; days: string[]; entities: (Omit<Day, "day"> & { entity: { kind: string; name: string } })[] }
export interface Days { entity: { kind: string; name: string }; days: Day[] }

/** How groups were treated day by day. */
export interface GroupDays { group: string; gaps: Measure[]; before: Measure | null; change: Measure | null; since: string | null; last: string | null; reason: string }
export interface RateDays { rate: string; days: string[]; groups: GroupDays[] }
export interface GroupsOverTime { model: string; tag: string; watched: string[]; say: string; rates?: RateDays[]; feedback_loops?: { group: string; suspected: boolean; reason: string }[] }
