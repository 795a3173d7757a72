"""Tables of the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tocsin.app.drift_files.page_charts import shown


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, wide: bool = False) -> str:
    """A table that scrolls by itself; cells are HTML, heads are text."""
    head = "".join(f'<th scope="col">{shown(each)}</th>' for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    kind = ' class="wide"' if wide else ""
    return f'<div class="scroll" tabindex="0"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
