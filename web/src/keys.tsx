// The keyboard: j and k move, Enter opens, t changes the theme, ? tells all of this.
import { useEffect, useRef } from "preact/hooks";
import { go, set } from "./url";

function move(by: number): void {
  const jump = document.querySelector<HTMLAnchorElement>(by > 0 ? "[data-next]" : "[data-previous]");
  if (jump) { go(jump.getAttribute("href")!); return; }
  const rows = [...document.querySelectorAll<HTMLElement>("[data-nav]")];
  if (!rows.length) return;
  const now = rows.findIndex((row) => row === document.activeElement || row.getAttribute("aria-current") === "true");
  const row = rows[now < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, now + by))]!;
  row.focus();
  if ("go" in row.dataset) go(row.getAttribute("href")!, true);
  else set({ selected: row.dataset["nav"] }, true);
  row.scrollIntoView({ block: "nearest" });
}

export function useKeys(theme: () => void, help: () => void): void {
  const held = useRef({ theme, help });
  held.current = { theme, help };
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || (event.target as Element).closest("input,textarea,select,dialog")) return;
      if (event.key === "j") move(1);
      else if (event.key === "k") move(-1);
      else if (event.key === "t") held.current.theme();
      else if (event.key === "?") held.current.help();
      else if (event.key === "/" && document.querySelector("input[type=search]")) { document.querySelector<HTMLInputElement>("input[type=search]")!.focus(); event.preventDefault(); }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

const KEYS: [string, string][] = [
  ["j", "next incident or signal"], ["k", "previous incident or signal"], ["Enter", "open what is selected"],
  ["/", "search (signals)"], ["t", "light or dark"], ["?", "this help"], ["Esc", "close"],
];

export function Help({ open, close }: { open: boolean; close: () => void }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open && !box.current?.open) box.current?.showModal();
    if (!open) box.current?.close();
  }, [open]);
  return (
    <dialog ref={box} aria-labelledby="help" onClose={close}>
      <h2 id="help">Keyboard</h2>
      <dl class="keys">{KEYS.map(([key, what]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}</dl>
      <p class="note">Drag over a chart to zoom; the address always holds what you see, so it can be sent to others.</p>
      <button type="button" class="btn" onClick={close}>Close</button>
    </dialog>
  );
}
