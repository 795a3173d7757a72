"""The Helm chart, rendered by Helm's own library, and kept: `python -m tests.charts` renders it anew.

Rendering needs the group `deploy`, which is large; what was rendered is kept with the digest of the chart that it is of,
so that everything else is seen without it.
"""

import hashlib
from pathlib import Path

import yaml

CHART = Path(__file__).parents[1] / "deploy" / "helm" / "tocsin"
KEPT = Path(__file__).parent / "golden" / "helm"
SETS = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))


def digest():
    """SHA-256 over names and contents of all files of the chart."""
    found = hashlib.sha256()
    for path in sorted(path for path in CHART.rglob("*") if path.is_file()):
        found.update(f"{path.relative_to(CHART)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def values_of(name):
    """One of the chart's sets of values."""
    return yaml.safe_load((CHART / "ci" / f"{name}.yaml").read_text())


def rendered(values):
    """What Helm makes of the chart, as one text, in the order of templates."""
    import helm_python

    with helm_python.Chart.load(str(CHART)) as chart:
        made = chart.render(values, name="watch", namespace="tocsin")
    texts = [f"---\n# {name}\n{text.strip()}\n" for name, text in sorted(made.items()) if name.endswith(".yaml")]
    return "".join(text for text in texts if text.count("\n") > 3)


def kept(name):
    """What is kept of a set: the digest of the chart, and the text."""
    first, _, text = (KEPT / f"{name}.yaml").read_text().partition("\n")
    return first.rpartition(" ")[2], text


def objects(text):
    """Objects of a rendered text."""
    return [found for found in yaml.safe_load_all(text) if found]


if __name__ == "__main__":
    for each in SETS:
        (KEPT / f"{each}.yaml").write_text(
            f"# rendered by `python -m tests.charts` of {digest()}\n" + rendered(values_of(each))
        )
