// Where services stand in a drawn graph: callers left of whom they call, neighbours near each other.
export interface Spot { x: number; y: number }
export const WIDE = 204, HIGH = 46;
const ACROSS = 110, DOWN = 22, EDGE = 24;

/** The layer of each: one right of its last caller; calls that lead back in a circle move nobody. */
function layered(names: string[], calls: Map<string, string[]>, called: Set<string>): Map<string, number> {
  const done = new Set<string>(), open = new Set<string>(), order: string[] = [];
  const back = new Set<string>();
  for (const first of [...names.filter((name) => !called.has(name)), ...names]) {
    if (done.has(first)) continue;
    const stack: [string, number][] = [[first, 0]];
    open.add(first); done.add(first);
    while (stack.length) {
      const top = stack[stack.length - 1]!;
      const next = calls.get(top[0])?.[top[1]++];
      if (next === undefined) { open.delete(top[0]); order.push(top[0]); stack.pop(); }
      else if (open.has(next)) back.add(`${top[0]}\u0000${next}`);
      else if (!done.has(next)) { done.add(next); open.add(next); stack.push([next, 0]); }
    }
  }
  const layer = new Map(names.map((name) => [name, 0]));
  for (const name of order.reverse()) for (const next of calls.get(name) ?? []) if (!back.has(`${name}\u0000${next}`)) layer.set(next, Math.max(layer.get(next)!, layer.get(name)! + 1));
  return layer;
}

export function placed(names: string[], edges: { caller: string; callee: string }[]): { spots: Map<string, Spot>; width: number; height: number } {
  const calls = new Map<string, string[]>(), callers = new Map<string, string[]>();
  for (const { caller, callee } of edges) {
    if (caller === callee) continue;
    calls.set(caller, [...(calls.get(caller) ?? []), callee]);
    callers.set(callee, [...(callers.get(callee) ?? []), caller]);
  }
  const layer = layered(names, calls, new Set(callers.keys()));
  const columns: string[][] = [];
  for (const name of names) (columns[layer.get(name)!] ??= []).push(name);
  const tall = Math.max(1, ...columns.map((each) => each.length)) * (HIGH + DOWN) - DOWN;
  const spots = new Map<string, Spot>();
  columns.forEach((column, i) => {
    const wish = (name: string): number => { const from = (callers.get(name) ?? []).map((each) => spots.get(each)?.y).filter((y) => y !== undefined); return from.length ? from.reduce((a, b) => a + b, 0) / from.length : 0; };
    const top = EDGE + (tall - (column.length * (HIGH + DOWN) - DOWN)) / 2;
    column.map((name) => [name, wish(name)] as const).sort((a, b) => a[1] - b[1]).forEach(([name], k) => spots.set(name, { x: EDGE + i * (WIDE + ACROSS), y: top + k * (HIGH + DOWN) }));
  });
  return { spots, width: 2 * EDGE + columns.length * (WIDE + ACROSS) - ACROSS, height: tall + 2 * EDGE };
}
