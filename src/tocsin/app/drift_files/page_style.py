"""The style of the report, light and dark."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { --ground: #fff; --text: #1a2026; --quiet: #5b6670; --line: #d8dee4; --panel: #f5f7f9; --guess: #1f6feb;
  --band: #1f6feb33; --real: #b35900; --bad: #c0262d; --good: #1a7f37; --h0: #eef2f6; --h1: #d5e4f7; --h2: #a9caf0;
  --h3: #6ea6e4; --h4: #3b7fd0; --h5: #1d4f96; }
@media (prefers-color-scheme: dark) { :root { --ground: #12161b; --text: #e6eaee; --quiet: #9aa6b2; --line: #303943;
  --panel: #1a2027; --guess: #6cb0ff; --band: #6cb0ff33; --real: #ffb065; --bad: #ff7b7f; --good: #57c777;
  --h0: #1e252d; --h1: #1f3550; --h2: #234b78; --h3: #2c68a8; --h4: #4690dc; --h5: #8cc2ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 34px 0 10px; }
p { margin: 6px 0; overflow-wrap: anywhere; }
.verdict { border-left: 4px solid var(--good); background: var(--panel); padding: 10px 14px; margin: 14px 0; }
.verdict.bad { border-color: var(--bad); }
.bad strong, strong.bad { color: var(--bad); }
.good strong { color: var(--good); }
.legend, .range, .parts { color: var(--quiet); font-size: 13px; }
td .parts { display: block; min-width: 150px; }
td .range { display: block; white-space: nowrap; }
.chart, .scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; background: var(--ground); }
.chart svg { display: block; width: 100%; min-width: 640px; height: auto; }
.chart { padding: 8px 4px; margin-bottom: 6px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
table.wide { min-width: 860px; }
th, td { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: break-word; max-width: 260px; }
.stamp { white-space: nowrap; }
td { font-variant-numeric: tabular-nums; }
th { background: var(--panel); font-weight: 600; white-space: nowrap; }
tbody tr:last-child td { border-bottom: 0; }
td:last-child { min-width: 260px; max-width: 620px; overflow-wrap: anywhere; }
code { font-family: ui-monospace, monospace; font-size: 0.95em; overflow-wrap: anywhere; }
.grid { stroke: var(--line); stroke-width: 1; }
.tick { fill: var(--quiet); font-size: 12px; }
.name { fill: var(--text); font-size: 12px; }
.band { fill: var(--band); }
.guess { fill: none; stroke: var(--guess); stroke-width: 2; }
.real { fill: var(--real); stroke: var(--ground); stroke-width: 1; }
.whisker { stroke: var(--real); stroke-width: 1.5; }
.reference { stroke: var(--quiet); stroke-width: 1.5; stroke-dasharray: 6 4; }
.alarm { fill: var(--bad); }
.heat0 { fill: var(--h0); } .heat1 { fill: var(--h1); } .heat2 { fill: var(--h2); } .heat3 { fill: var(--h3); }
.heat4 { fill: var(--h4); } .heat5 { fill: var(--h5); }
.moved { stroke: var(--bad); stroke-width: 1.5; }
.key { display: inline-block; width: 14px; height: 10px; margin: 0 2px 0 10px; vertical-align: baseline; }
.key:first-child { margin-left: 0; }
.guess-key { background: var(--band); border-top: 3px solid var(--guess); }
.real-key { background: var(--real); border-radius: 50%; width: 10px; }
.reference-key { border-top: 2px dashed var(--quiet); height: 4px; }
.alarm-key { background: var(--bad); clip-path: polygon(0 100%, 100% 100%, 50% 0); }
@media print { .chart, .scroll { overflow: visible; } }
"""
