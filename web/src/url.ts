// All state is in the address: path and parameters. Back and forward work because nothing else holds state.
import { useEffect, useState } from "preact/hooks";

export interface Place { path: string; params: URLSearchParams; search: string }
const here = (): Place => ({ path: location.pathname, params: new URLSearchParams(location.search), search: location.search });
const listeners = new Set<() => void>();
const tell = (): void => listeners.forEach((listener) => listener());
addEventListener("popstate", tell);

export function go(to: string, replace = false): void {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  tell();
}

/** Change parameters of this page; an empty value takes one away. */
export function set(changes: Record<string, string | undefined>, replace = false): void {
  const params = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(changes)) {
    if (value) params.set(key, value);
    else params.delete(key);
  }
  const text = params.toString();
  go(location.pathname + (text ? `?${text}` : ""), replace);
}

/** Change parameters that may be there more than once. */
export function setAll(changes: Record<string, string[]>): void {
  const params = new URLSearchParams(location.search);
  for (const [key, values] of Object.entries(changes)) {
    params.delete(key);
    for (const value of values) params.append(key, value);
  }
  const text = params.toString();
  go(location.pathname + (text ? `?${text}` : ""));
}

export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const listener = (): void => setPlace(here());
    listeners.add(listener);
    // the place may have changed between the first drawing and now
    if (place.path !== location.pathname || place.search !== location.search) listener();
    return () => { listeners.delete(listener); };
  }, []);
  return place;
}
