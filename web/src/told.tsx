// An incident in sentences: what happened, why, what to do next, each with links to the evidence it stands on.
import type { Sentence, Source, Told } from "./api";
import { useAsk } from "./live";
import { A, Fault, Panel, Said, Time } from "./parts";

const HEADS: Record<Sentence["part"], string> = { what: "What happened", why: "Why", next: "What to do next" };
const WORDS: Record<string, string> = { finding: "finding", change: "change", cause: "ranking", trace: "trace", log: "log lines", runbook: "runbook", guide: "guide" };
const MOST = 4;

export function InShort({ path }: { path: string }) {
  const answer = useAsk<Told>(`${path}/summary`, 30);
  const told = answer.data;
  if (!told) return answer.error ? <Fault error={answer.error} again={answer.again} /> : null;
  if (!told.sentences.length) return null;
  return (
    <Panel title="In short" id="short" note="every sentence names its evidence">
      {told.rephrased.length > 0 && (
        <div class="told">
          <h3>In the words of <bdi>{told.model}</bdi>, as of <Time at={told.rephrased_at} /></h3>
          <Sentences all={told.rephrased} />
        </div>
      )}
      {(Object.keys(HEADS) as Sentence["part"][]).map((part) => {
        const all = told.sentences.filter((each) => each.part === part);
        if (!all.length) return null;
        // the head of the page has said it already
        if (part === "what") return <details class="told" key={part}><summary>{HEADS[part]}, finding by finding</summary><Sentences all={all} /></details>;
        return <div class="told" key={part}><h3>{HEADS[part]}</h3><Sentences all={all} /></div>;
      })}
    </Panel>
  );
}

function Sentences({ all }: { all: Sentence[] }) {
  return (
    <ul class="sentences">
      {all.map((each, i) => (
        <li key={i}><Said text={each.text} most={700} /><span class="note">{each.sources.slice(0, MOST).map((one, k) => <Where key={k} one={one} />)}{each.sources.length > MOST && ` and ${each.sources.length - MOST} more`}</span></li>
      ))}
    </ul>
  );
}

function Where({ one }: { one: Source }) {
  const word = WORDS[one.kind] ?? one.kind;
  if (one.link.startsWith("/") && !one.link.startsWith("//")) return <> <A class="source" to={one.link} title={one.ref}>{word}</A></>;
  // only web addresses are links: a runbook may be any text
  return /^https?:\/\//.test(one.link) ? <> <a class="source" href={one.link} rel="noreferrer noopener" title={one.ref}>{word}</a></> : <> {word}</>;
}
