// The anomaly strip: one row a service, darker or brighter the stranger it was; the words beside say the same.
import { useEffect, useRef } from "preact/hooks";
import type { Overview } from "./api";
import { clock, moment, rarity, utc } from "./format";
import { A } from "./parts";

type Ramp = [number, number, number][];
// lightness moves one way only, so that the ramp reads without colour
const LIGHT: Ramp = [[226, 231, 236], [240, 205, 130], [206, 106, 40], [128, 16, 30]];
const DARK: Ramp = [[38, 48, 56], [104, 78, 24], [222, 150, 40], [255, 238, 160]];
/** log10 p from which it is coloured, and where the ramp ends. */
const FROM = 3, TO = 10;

function colour(worst: number, ramp: Ramp): [number, number, number] {
  const q = Math.min(0.9999, Math.max(0, (-worst - FROM) / (TO - FROM))) * (ramp.length - 1);
  const k = Math.floor(q), f = q - k;
  const [a, b] = [ramp[k]!, ramp[k + 1]!];
  return [0, 1, 2].map((j) => Math.round(a[j]! * (1 - f) + b[j]! * f)) as [number, number, number];
}

const word = (worst: number | null): string =>
  worst === null ? "not judged yet" : worst > -4 ? "as expected" : worst > -7 ? "unusual" : "strange";

function Heat({ worst, label, theme }: { worst: (number | null)[]; label: string; theme: string }) {
  const box = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const canvas = box.current!;
    canvas.width = Math.max(1, worst.length);
    canvas.height = 1;
    const context = canvas.getContext("2d")!;
    const image = context.createImageData(canvas.width, 1);
    const ramp = theme === "dark" ? DARK : LIGHT;
    worst.forEach((value, i) => {
      if (value === null) return;
      image.data.set([...colour(value, ramp), 255], i * 4);
    });
    context.putImageData(image, 0, 0);
  }, [worst, theme]);
  return <canvas ref={box} class="heat" role="img" aria-label={label} />;
}

/** Since when, if it is so until now; else when it was worst. */
function whenOf(worst: (number | null)[], place: number, at: (i: number, n: number) => Date): string {
  const now = worst.findLastIndex((each) => each !== null);
  let first = now + 1;
  while (first > 0 && (worst[first - 1] ?? 0) <= -4) first -= 1;
  return now >= worst.length - 3 && first <= now ? `since ${clock(at(first, worst.length))}` : `at ${clock(at(place, worst.length))}`;
}

export function Strip({ strip, theme }: { strip: Overview["strip"]; theme: string }) {
  const { from, to, rows } = strip;
  const at = (i: number, n: number): Date => new Date((from + ((i + 0.5) * (to - from)) / n) * 1000);
  const ordered = rows
    .map((row) => {
      const place = row.worst.reduce<number>((best, value, i) => (value !== null && (best < 0 || value < row.worst[best]!) ? i : best), -1);
      return { ...row, place, least: place < 0 ? null : row.worst[place]! };
    })
    .sort((a, b) => (a.least ?? 1) - (b.least ?? 1));
  const middle = new Date(((from + to) / 2) * 1000), now = new Date();
  return (
    <>
      <ul class="strip">
        {ordered.map((row) => {
          const text = word(row.least);
          const when = row.least !== null && row.least <= -4 ? `${text} ${whenOf(row.worst, row.place, at)}` : text;
          const whole = row.least === null ? text : `worst ${rarity(row.least, null)}, ${utc(at(row.place, row.worst.length))}`;
          return (
            <li key={row.name}>
              <A to={`/signals?entity=${encodeURIComponent(row.name)}`} class="name" title={row.name || "no service name"}>{row.name || "(no service)"}</A>
              <Heat worst={row.worst} label={`${row.name}: ${when}`} theme={theme} />
              <span class={`verdict ${text === "strange" ? "strange" : ""}`} title={whole}>{when}</span>
            </li>
          );
        })}
      </ul>
      <div class="strip-foot" aria-hidden="true">
        <span class="times"><span>{moment(new Date(from * 1000), now)}</span><span>{moment(middle, now)}</span><span>{moment(new Date(to * 1000), now)}</span></span>
        <span class="ramp"><span>as expected</span><i class="ramp-bar" /><span>strange (1 in 10¹⁰)</span></span>
      </div>
    </>
  );
}
