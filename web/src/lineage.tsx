// Where a reference stems from: experiment, run and version of a data set, each with its link where one was given.
import type { Origin } from "./api";
import { Said } from "./parts";

const WORD: Record<Origin["kind"], string> = { experiment: "experiment", run: "run", dataset: "data set" };
// the server gives plain addresses only; a page trusts no server with a scheme
const plain = (link: string): boolean => /^https?:\/\//.test(link);

export function Lineage({ origins }: { origins: Origin[] }) {
  return (
    <ul class="lineage">
      {origins.map((each) => (
        <li key={each.kind + each.name + each.link}>{WORD[each.kind]} {plain(each.link) ? <a href={each.link} rel="noopener noreferrer" target="_blank"><Said text={each.name} most={80} /></a> : <b><Said text={each.name} most={80} /></b>}</li>
      ))}
    </ul>
  );
}
