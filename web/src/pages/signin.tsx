// Sign in with a key; the session lives in a cookie that no script can read.
import { useState } from "preact/hooks";
import { act, Problem } from "../api";
import { Fault } from "../parts";
import { go, usePlace } from "../url";

/** Only ever go on to an address of this server. */
const onward = (next: string | null): string => (next && /^\/(?![/\\])/.test(next) ? next : "/");

export function SignIn({ done }: { done: () => Promise<void> }) {
  const { params } = usePlace();
  const [error, setError] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const key = new FormData(event.currentTarget as HTMLFormElement).get("key");
    setBusy(true);
    act("/api/session", { key })
      .then(async () => { await done(); go(onward(params.get("next")), true); })
      .catch((found: unknown) => setError(found instanceof Problem ? found : new Problem(0, "no answer", "")))
      .finally(() => setBusy(false));
  };
  return (
    <main id="main" class="signin">
      <form class="panel" onSubmit={submit}>
        <h1 tabIndex={-1}>Sign in</h1>
        <label class="field">Key<input type="password" name="key" required autoComplete="current-password" spellcheck={false} autoCapitalize="off" /></label>
        {error && <Fault error={error} />}
        <button type="submit" class="btn main" disabled={busy}>{busy ? "Signing in …" : "Sign in"}</button>
        <p class="note">On the machine where Tocsin runs, <code>tocsin key create --scope operate</code> prints a key once.</p>
      </form>
    </main>
  );
}
