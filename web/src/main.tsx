// The frame around all pages, and which page an address is.
import { render, type VNode } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ask, type Session } from "./api";
import { zone } from "./format";
import { Help, useKeys } from "./keys";
import { connect, disconnect, useLink, useNews } from "./live";
import { Incident } from "./pages/incident";
import { Overview } from "./pages/overview";
import { SignIn } from "./pages/signin";
import { Signals } from "./pages/signals";
import { Status } from "./pages/status";
import { A } from "./parts";
import { go, usePlace } from "./url";
import "./style.css";

const PAGES: [path: string, name: string][] = [["/", "Overview"], ["/signals", "Signals"], ["/traces", "Traces"], ["/graph", "Services"], ["/logs", "Logs"], ["/llm", "LLMs"], ["/machines", "Machines"], ["/models", "Models"], ["/actions", "Actions"], ["/review", "Review"], ["/audit", "Audit"], ["/status", "Status"]];
/** Pages that only who administers can read. */
const OWNERS = new Set(["/audit"]);
const LINK = { connecting: "connecting", live: "live", gone: "not connected" } as const;

function stored(): string | null {
  try { return localStorage.getItem("theme"); } catch { return null; }
}

function useTheme(): [string, () => void] {
  const { params } = usePlace();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const wanted = params.get("theme");
  const [own, setOwn] = useState(stored);
  const theme = wanted === "dark" || wanted === "light" ? wanted : own === "dark" || own === "light" ? own : dark.matches ? "dark" : "light";
  const [, again] = useState(0);
  useEffect(() => {
    const changed = (): void => again((n) => n + 1);
    dark.addEventListener("change", changed);
    return () => dark.removeEventListener("change", changed);
  }, []);
  document.documentElement.dataset["theme"] = theme;
  const turn = (): void => {
    const next = theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", next); } catch { /* a browser that stores nothing still turns */ }
    setOwn(next);
    if (wanted) {
      const all = new URLSearchParams(location.search);
      all.set("theme", next);
      go(`${location.pathname}?${all.toString()}`, true);
    }
  };
  return [theme, turn];
}

function App() {
  const { path } = usePlace();
  const [theme, turn] = useTheme();
  const [session, setSession] = useState<Session>();
  const [help, setHelp] = useState(false);
  const [news, setNews] = useState("");
  const first = useRef(true);
  const link = useLink();
  const who = useCallback(async () => {
    const found = await ask<Session>("/api/session").catch(() => undefined);
    if (found) setSession(found);
    if (found?.signed_in) connect();
  }, []);
  useEffect(() => { void who(); }, []);
  useEffect(() => { if (link === "live" && !session) void who(); }, [link]);
  useEffect(() => {
    if (session) return undefined;
    const timer = setInterval(() => void who(), 3000);
    return () => clearInterval(timer);
  }, [session]);
  useNews((each) => setNews(each.kind === "opened" ? `New incident, ${each.severity}: ${each.title}` : `Incident ${each.state}: ${each.title}`));
  useKeys(turn, () => setHelp(true));
  useEffect(() => {
    document.title = `${path.startsWith("/incidents/") ? "Incident" : path.startsWith("/traces/") ? "Trace" : path === "/signin" ? "Sign in" : PAGES.find(([to]) => to === path)?.[1] ?? "No such page"} · Tocsin`;
    // a page change moves the focus as a page load would; the very first view keeps the browser's own
    if (!first.current) { scrollTo(0, 0); document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true }); }
    first.current = false;
  }, [path]);
  const out = (): void => { disconnect(); void ask("/api/session", { method: "DELETE" }).then(() => { setSession(undefined); go("/signin"); }); };
  const at = path.startsWith("/incidents") ? "/" : path.startsWith("/traces") ? "/traces" : path;
  return (
    <>
      <a class="skip" href="#main">Skip to the page</a>
      <header class="top">
        <A to="/" class="brand"><svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true"><path d="M8 1a4.5 4.5 0 0 0-4.500 4.500V9L2 12h12l-1.500-3V5.500A4.500 4.500 0 0 0 8 1zM6.500 13a1.500 1.500 0 0 0 3 0z" /></svg>Tocsin</A>
        <nav aria-label="Pages">{PAGES.filter(([to]) => !OWNERS.has(to) || (session?.scopes ?? []).includes("admin")).map(([to, name]) => <A key={to} to={to} aria-current={to === at ? "page" : undefined}>{name}</A>)}</nav>
        <span class="grow" />
        {path !== "/signin" && <span class={`link ${link}`} role="status"><i aria-hidden="true" />{LINK[link]}</span>}
        {session?.signed_in && !session.open && <button type="button" class="btn small" onClick={out}>Sign out</button>}
        <button type="button" class="btn small" onClick={turn} aria-label={`Change to the ${theme === "dark" ? "light" : "dark"} theme`}>{theme === "dark" ? "light" : "dark"} <kbd>t</kbd></button>
        <button type="button" class="btn small" onClick={() => setHelp(true)} aria-label="Keyboard help"><kbd>?</kbd></button>
      </header>
      {link === "gone" && path !== "/signin" && <p class="gone" role="alert">The server does not answer. What you see may be old; this page connects again by itself.</p>}
      <Page path={path} theme={theme} scopes={session?.scopes ?? []} done={who} />
      {path !== "/signin" && <footer class="foot">{zone(new Date()) === "UTC" ? "All times are in UTC." : `Times are of ${zone(new Date())}, unless they say UTC; point at one to see it in UTC.`}</footer>}
      <p class="sr" role="status" aria-live="polite">{news}</p>
      <Help open={help} close={() => setHelp(false)} />
    </>
  );
}

/** Pages that are large and not everybody's come when they are first asked for. */
const LATER: Record<string, () => Promise<(props: { theme: string; scopes: string[] }) => VNode>> = {
  Actions: () => import("./pages/actions").then((page) => page.Actions),
  "Audit trail": () => import("./pages/audit").then((page) => page.Audit),
  "Language models": () => import("./pages/llm").then((page) => page.Llm),
  Logs: () => import("./pages/logs").then((page) => page.Logs),
  Machines: () => import("./pages/machines").then((page) => page.Machines),
  Models: () => import("./pages/models").then((page) => page.Models),
  "Review of alerts": () => import("./pages/review").then((page) => page.Review),
  Services: () => import("./pages/services").then((page) => page.Services),
  Traces: () => import("./pages/traces").then((page) => page.Traces),
};

function Later({ name, theme, scopes = [] }: { name: string; theme: string; scopes?: string[] }) {
  const [page, setPage] = useState<{ Shown: (props: { theme: string; scopes: string[] }) => VNode }>();
  const [failed, setFailed] = useState(false);
  useEffect(() => { LATER[name]!().then((Shown) => setPage({ Shown }), () => setFailed(true)); }, []);
  if (page) return <page.Shown theme={theme} scopes={scopes} />;
  return <main id="main" tabIndex={-1}><h1 tabIndex={-1}>{name}</h1><p role={failed ? "alert" : "status"}>{failed ? "This part of the page did not come; load the page again." : "One moment."}</p></main>;
}

function Nowhere({ path }: { path: string }) {
  return (
    <main id="main">
      <h1 tabIndex={-1}>There is no such page</h1>
      <p>Nothing is at <code>{path.slice(0, 200)}</code>. Go to the <A to="/">overview</A>, or choose a page above.</p>
    </main>
  );
}

/** A part of an address as text; what is no escape stands for itself. */
function decoded(part: string): string {
  try { return decodeURIComponent(part); } catch { return part; }
}

function Page({ path, theme, scopes, done }: { path: string; theme: string; scopes: string[]; done: () => Promise<void> }) {
  const incident = /^\/incidents\/([^/]+)$/.exec(path);
  if (incident) return <Incident key={incident[1]} id={decoded(incident[1]!)} theme={theme} scopes={scopes} />;
  if (path === "/signals") return <Signals theme={theme} />;
  if (path === "/graph") return <Later key="graph" name="Services" theme={theme} />;
  if (path === "/llm") return <Later key="llm" name="Language models" theme={theme} />;
  if (path === "/logs") return <Later key="logs" name="Logs" theme={theme} />;
  if (path === "/machines") return <Later key="machines" name="Machines" theme={theme} />;
  if (path === "/models") return <Later key="models" name="Models" theme={theme} />;
  if (/^\/traces(\/[^/]+)?$/.test(path)) return <Later key="traces" name="Traces" theme={theme} />;
  if (path === "/actions") return <Later key="actions" name="Actions" theme={theme} scopes={scopes} />;
  if (path === "/audit") return <Later key="audit" name="Audit trail" theme={theme} scopes={scopes} />;
  if (path === "/review") return <Later key="review" name="Review of alerts" theme={theme} scopes={scopes} />;
  if (path === "/status") return <Status scopes={scopes} />;
  if (path === "/signin") return <SignIn done={done} />;
  if (path === "/" || path === "/incidents") return <Overview theme={theme} scopes={scopes} />;
  return <Nowhere path={path} />;
}

render(<App />, document.getElementById("app")!);
