// Numbers with their units, and times: local to the reader, UTC on hover.
const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SECONDS: Record<string, number> = { ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600 };
const BYTES: Record<string, number> = {
  By: 1, kBy: 1e3, MBy: 1e6, GBy: 1e9, KiBy: 2 ** 10, MiBy: 2 ** 20, GiBy: 2 ** 30, TiBy: 2 ** 40,
};
const RATIO = /ratio|perc|utili[sz]ation|fraction|share/i;

export type Base = "s" | "By" | "ratio" | "%" | "count";
export interface Scale { base: Base; factor: number; suffix: string }

/** Into which base a signal's values are brought, and what is written after the prefix. */
export function scaleOf(unit: string, signal = ""): Scale {
  const [head = "", per = ""] = unit.split("/", 2);
  const suffix = per ? `/${per}` : "";
  if (head in SECONDS) return { base: "s", factor: SECONDS[head]!, suffix };
  if (head in BYTES) return { base: "By", factor: BYTES[head]!, suffix };
  if (head === "%") return { base: "%", factor: 1, suffix };
  if ((head === "1" || head === "") && RATIO.test(signal)) return { base: "ratio", factor: 1, suffix };
  const noun = head.startsWith("{") ? ` ${head.slice(1, -1)}${suffix}` : head === "1" || head === "" ? suffix : ` ${head}${suffix}`;
  return { base: "count", factor: 1, suffix: noun };
}

const plural = (noun: string): string => (/^ [a-z]*[a-rt-z]$/.test(noun) ? `${noun}s` : noun);
const PREFIX = ["", "Ki", "Mi", "Gi", "Ti", "Pi"];
const BIG: [number, string][] = [[1e12, " T"], [1e9, " G"], [1e6, " M"]];

/** One number in a base, `ref` decides the prefix so that ticks of one axis agree. */
export function inBase(value: number, scale: Scale, ref = Math.abs(value)): string {
  switch (scale.base) {
    case "s": {
      if (ref === 0) return `0 s${scale.suffix}`;
      if (ref < 1e-6) return `${number.format(value * 1e9)} ns${scale.suffix}`;
      if (ref < 1e-3) return `${number.format(value * 1e6)} µs${scale.suffix}`;
      if (ref < 1) return `${number.format(value * 1e3)} ms${scale.suffix}`;
      if (ref < 300) return `${number.format(value)} s${scale.suffix}`;
      if (ref < 3 * 3600) return `${number.format(value / 60)} min${scale.suffix}`;
      return ref < 3 * 86400 ? `${number.format(value / 3600)} h${scale.suffix}` : `${number.format(value / 86400)} d${scale.suffix}`;
    }
    case "By": {
      const power = ref > 0 ? Math.min(5, Math.max(0, Math.floor(Math.log2(ref) / 10))) : 0;
      return `${number.format(value / 1024 ** power)} ${PREFIX[power]}B${scale.suffix}`;
    }
    case "ratio": return `${number.format(value * 100)} %${scale.suffix}`;
    case "%": return `${number.format(value)} %${scale.suffix}`;
    case "count": {
      for (const [size, letter] of BIG) if (ref >= size) return `${number.format(value / size)}${letter}${scale.suffix}`;
      const text = ref >= 1000 ? whole.format(value) : number.format(value);
      return text + (value === 1 ? scale.suffix : plural(scale.suffix));
    }
  }
}

export function quantity(value: number | null | undefined, unit: string, signal = ""): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "no value";
  const scale = scaleOf(unit, signal);
  return inBase(value * scale.factor, scale);
}

/** `3 to 4 s` where both share a unit, else `900 ms to 1.2 s`. */
export function between(lower: number, upper: number, scale: Scale): string {
  const [a, b] = [inBase(lower, scale), inBase(upper, scale)];
  const unit = b.replace(/^[-−]?[\d.,]+/, "");
  return unit && a.endsWith(unit) ? `${a.slice(0, a.length - unit.length)} to ${b}` : `${a} to ${b}`;
}

export function expected(band: [number | null, number | null], unit: string, signal = ""): string {
  const [lower, upper] = band;
  if (lower === null && upper === null) return "–";
  if (lower === null) return `at most ${quantity(upper, unit, signal)}`;
  if (upper === null) return `at least ${quantity(lower, unit, signal)}`;
  const scale = scaleOf(unit, signal);
  return between(lower * scale.factor, upper * scale.factor, scale);
}

export const count = (n: number, one: string, many = `${one}s`): string => `${whole.format(n)} ${n === 1 ? one : many}`;

/** How many rows there are, or that there are more than a list was asked for. */
export const atMost = (n: number, most: number, one: string, many = `${one}s`): string =>
  n < most ? count(n, one, many) : `the first ${whole.format(most)} ${many}`;

const pad = (n: number): string => String(n).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
export const day = (at: Date): string => `${at.getDate()} ${MONTHS[at.getMonth()]}`;
export const clock = (at: Date, seconds = false): string =>
  `${pad(at.getHours())}:${pad(at.getMinutes())}${seconds ? `:${pad(at.getSeconds())}` : ""}`;
/** The zone of the reader, with what it differs from UTC at a time: `Europe/Berlin, UTC+01:00`. */
export function zone(at: Date): string {
  const min = -at.getTimezoneOffset();
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const offset = min ? `UTC${min < 0 ? "−" : "+"}${pad(Math.floor(Math.abs(min) / 60))}:${pad(Math.abs(min) % 60)}` : "UTC";
  return name && name !== "UTC" ? `${name}, ${offset}` : offset;
}
export const utc = (at: Date): string => `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;

export function moment(at: Date, now: Date, seconds = false): string {
  const same = at.toDateString() === now.toDateString();
  const year = at.getFullYear() === now.getFullYear() ? "" : ` ${at.getFullYear()}`;
  return same ? clock(at, seconds) : `${day(at)}${year} ${clock(at, seconds)}`;
}

export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  const min = Math.round(s / 60);
  if (min < 90) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h < 48) return min % 60 ? `${h} h ${min % 60} min` : `${h} h`;
  return `${Math.round(h / 24)} days`;
}

const superscript = (n: number): string => [...String(n)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]).join("");

/** How rare, in words: a p-value beyond what was seen is an extrapolated rank and is called so. */
export function rarity(log10p: number | null, n: number | null): string {
  if (log10p === null) return "not calibrated: a fixed limit was crossed";
  const power = Math.floor(-log10p);
  const odds = power < 6 ? `1 in ${whole.format(10 ** power)}` : `1 in 10${superscript(power)}`;
  const seen = n !== null && n > 0 ? ` (${whole.format(n)} past windows)` : "";
  return n !== null && -log10p > Math.log10(Math.max(1, n)) ? `rarer than ${odds} by extrapolation${seen}` : `${odds} windows${seen}`;
}

export const usd = (value: number | null): string => (value === null ? "not known" : `$${value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: value < 1 ? 4 : 2 })}`);
