// News from the server: one event stream for the page, and queries that ask again when something happened.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ask, Problem, type Summary } from "./api";
import { go } from "./url";

export type Link = "connecting" | "live" | "gone";
export interface News extends Summary { kind: string }
type Listener = { news?: (news: News) => void; link?: (link: Link) => void };

const listeners = new Set<Listener>();
let link: Link = "connecting";
let source: EventSource | undefined;
let told = false;

function setLink(next: Link): void {
  if (next === link) return;
  link = next;
  listeners.forEach((each) => each.link?.(next));
}

export function connect(): void {
  if (source) return;
  source = new EventSource("/api/stream");
  source.addEventListener("hello", () => setLink("live"));
  source.addEventListener("overview", () => {
    // the first one only says what the page has just asked for
    if (told) refresh();
    told = true;
  });
  source.addEventListener("incident", (event) => {
    const news = JSON.parse((event as MessageEvent<string>).data) as News;
    listeners.forEach((each) => each.news?.(news));
    refresh();
  });
  source.onerror = () => {
    setLink("gone");
    if (source?.readyState !== EventSource.CLOSED) return;
    source = undefined;
    setTimeout(connect, 3000);
  };
}

export function disconnect(): void {
  source?.close();
  source = undefined;
  setLink("connecting");
}

const refreshers = new Set<() => void>();
let pending: ReturnType<typeof setTimeout> | undefined;
/** Ask again for what is shown, at most a few times a second. */
export function refresh(): void {
  pending ??= setTimeout(() => { pending = undefined; refreshers.forEach((each) => each()); }, 200);
}

export function useLink(): Link {
  const [value, setValue] = useState(link);
  useEffect(() => {
    const listener: Listener = { link: setValue };
    listeners.add(listener);
    setValue(link);
    return () => { listeners.delete(listener); };
  }, []);
  return value;
}

export function useNews(news: (news: News) => void): void {
  const held = useRef(news);
  held.current = news;
  useEffect(() => {
    const listener: Listener = { news: (each) => held.current(each) };
    listeners.add(listener);
    return () => { listeners.delete(listener); };
  }, []);
}

export interface Answer<T> { data: T | undefined; error: Problem | undefined; loading: boolean; again: () => void }

/** Ask for `url` (null: nothing), keep what was there while asking again, follow news and the clock. */
export function useAsk<T>(url: string | null, everyS = 30): Answer<T> {
  const [held, setHeld] = useState<{ url: string | null; data: T | undefined; error: Problem | undefined }>({ url: null, data: undefined, error: undefined });
  const load = useCallback((): (() => void) => {
    if (url === null) return () => undefined;
    const abort = new AbortController();
    ask<T>(url, { signal: abort.signal }).then(
      (data) => setHeld({ url, data, error: undefined }),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        const found = error instanceof Problem ? error : new Problem(0, "The answer could not be read.", "");
        if (found.status === 401 && location.pathname !== "/signin") go(`/signin?next=${encodeURIComponent(location.pathname + location.search)}`, true);
        setHeld((before) => ({ url, data: before.url === url ? before.data : undefined, error: found }));
      },
    );
    return () => abort.abort();
  }, [url]);
  useEffect(() => {
    let stop = load();
    const again = (): void => { stop(); stop = load(); };
    const timer = setInterval(() => { if (!document.hidden) again(); }, everyS * 1000);
    refreshers.add(again);
    return () => { stop(); clearInterval(timer); refreshers.delete(again); };
  }, [load, everyS]);
  const mine = held.url === url;
  return { data: mine ? held.data : undefined, error: mine ? held.error : undefined, loading: url !== null && !(mine && (held.data || held.error)), again: refresh };
}
