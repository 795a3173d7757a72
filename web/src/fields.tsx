// Choices whose state is in the address: spans of time, values of a list, limits.
import { set, usePlace } from "./url";

export type Ranges = Record<string, [name: string, seconds: number]>;
export const RANGES: Ranges = { "15m": ["15 min", 900], "1h": ["1 h", 3600], "6h": ["6 h", 21600], "24h": ["24 h", 86400], "7d": ["7 days", 604800] };

/** Which span of time is asked for: `from` and `to` of the address, else its `range` until now. */
export function useRange(usual: string, ranges: Ranges = RANGES): { key: string; asked: Record<string, string | number | undefined> } {
  const { params } = usePlace();
  const found = params.get("range") ?? usual;
  const key = Object.hasOwn(ranges, found) ? found : usual;
  const [from, to] = [params.get("from") ?? undefined, params.get("to") ?? undefined];
  return { key, asked: from ? { from, to } : { last_s: ranges[key]![1] } };
}

export function RangeChoice({ usual, ranges = RANGES }: { usual: string; ranges?: Ranges }) {
  const { params } = usePlace();
  const { key } = useRange(usual, ranges);
  const zoomed = params.has("from");
  return (
    <span class="choice" role="group" aria-label="Span of time">
      {Object.entries(ranges).map(([each, [name]]) => <button type="button" key={each} class="btn small" aria-pressed={!zoomed && each === key} onClick={() => set({ range: each === usual ? undefined : each, from: undefined, to: undefined })}>{name}</button>)}
      {zoomed && <button type="button" class="btn small" aria-pressed onClick={() => set({ from: undefined, to: undefined })} title="back to a span of time until now">a time of its own ✕</button>}
    </span>
  );
}

const none = (names: string[]): Record<string, undefined> => Object.fromEntries(names.map((name) => [name, undefined]));

/** One of some texts from telemetry; what the address asks for is shown even if it is no longer there. */
export function Pick({ label, name, options, all, resets = [] }: { label: string; name: string; options: string[]; all: string; resets?: string[] }) {
  const { params } = usePlace();
  const value = params.get(name) ?? "";
  if (!options.length && !value) return null;
  const known = value && !options.includes(value) ? [value, ...options] : options;
  return (
    <label class="pick">{label}
      <select value={value} onChange={(event) => set({ [name]: event.currentTarget.value || undefined, ...none(resets) })}>
        <option value="">{all}</option>
        {known.map((each) => <option key={each} value={each}>{each.slice(0, 80)}</option>)}
      </select>
    </label>
  );
}

/** A number that is asked for when it is done: on Enter or when the field is left. */
export function NumberField({ label, name, unit }: { label: string; name: string; unit: string }) {
  const { params } = usePlace();
  return (
    <label class="pick">{label}
      <input type="number" min="0" step="any" inputMode="decimal" value={params.get(name) ?? ""} placeholder={unit} onChange={(event) => set({ [name]: event.currentTarget.value || undefined })} />
    </label>
  );
}

/** A text that is asked for when it is done: on Enter or when the field is left. */
export function Asked({ label, name, hint, pattern, resets = [] }: { label: string; name: string; hint: string; pattern?: string; resets?: string[] }) {
  const { params } = usePlace();
  return (
    <label class="pick">{label}
      <input type="search" value={params.get(name) ?? ""} placeholder={hint} pattern={pattern} autoComplete="off" spellcheck={false} onChange={(event) => { if (event.currentTarget.validity.valid) set({ [name]: event.currentTarget.value.trim() || undefined, ...none(resets) }); }} />
    </label>
  );
}
