"""`AgentWatch`: runs of agents as they go on, what is wrong with them, and a verdict before they end."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from tocsin.assess.agent_runs import PastRuns, Reason, Run, Step
from tocsin.derive.calls import Call
from tocsin.engine.call_episodes import Episodes
from tocsin.model.series import Signal
from tocsin.model.text import one_line

REPEATED: Final = Signal("gen_ai.agent.repeated_calls", "{call}")
FAN_OUT: Final = Signal("gen_ai.agent.fan_out", "{call}")
TOKENS: Final = Signal("gen_ai.agent.tokens_per_minute", "{token}")
COST: Final = Signal("gen_ai.agent.cost", "USD")
IDLE_NS: Final = 15 * 60 * 10**9
"""A run that is silent for so long is over."""
MOST_RUNS: Final = 10_000
"""Runs, traces and sessions that are followed at once, of all tenants; the one silent longest makes room."""
MOST_AGENTS: Final = 500
"""Agents whose past runs are kept."""
OVER_PAST: Final = 4.0
"""How many times what its past runs took a run must take; until twenty are known the limit alone counts."""
_MOST_REASONS: Final = 8
_Key = tuple[str, str]
"""Tenant, and id of the run, trace or session."""


class AgentWatch:
    """Pure: what it says depends on the calls and their order alone."""

    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes
        self.runs: OrderedDict[_Key, Run] = OrderedDict()
        self._past: OrderedDict[tuple[str, str, str], PastRuns] = OrderedDict()

    def take(self, tenant: str, call: Call) -> None:
        """Take a call in, for each of the ids that it goes by."""
        step = Step(
            call.time, call.span, call.parent, call.tool if call.is_tool else "", call.arguments,
            call.input_tokens, call.output_tokens, call.cost_usd, call.failed,
        )  # fmt: skip
        told = ((call.run, "run"), (call.trace.strip("0") and call.trace, "trace"), (call.session, "session"))
        seen: set[str] = set()
        for name, kind in told:
            if name and name not in seen:
                seen.add(name)
                run = self._run((tenant, name), kind, call)
                run.take(step)
                self._judge(tenant, name, run, call.time)

    def _run(self, key: _Key, kind: str, call: Call) -> Run:
        run = self.runs.get(key)
        if run is not None and call.time - run.last > IDLE_NS:
            self._finish(key)
            run = None
        if run is None:
            if len(self.runs) >= MOST_RUNS:
                self._finish(next(iter(self.runs)))
            run = self.runs[key] = Run(call.service, call.agent, kind, call.start, call.time, kind == "session")
        run.agent = run.agent or call.agent
        self.runs.move_to_end(key)
        return run

    def _finish(self, key: _Key) -> None:
        """Let go of a run and remember what it took."""
        run = self.runs.pop(key)
        of = (key[0], run.service, run.kind)
        past = self._past.get(of)
        if past is None:
            if len(self._past) >= MOST_AGENTS:
                self._past.popitem(last=False)
            past = self._past[of] = PastRuns()
        past.add(run.measured())
        self._past.move_to_end(of)

    def _judge(self, tenant: str, name: str, run: Run, at: int) -> None:
        measured = run.measured()
        for signal, measure in _MEASURES.items():
            value = measured[measure]
            if value <= self._episodes.limit(signal.name):
                continue
            if signal is not REPEATED and value <= OVER_PAST * self._before(tenant, run, measure):
                continue
            text = _words(signal, run, value)
            self._reason(run, signal, text, at)
            evidence: dict[str, float | str] = {
                "deviation": f"in {run.kind} {one_line(name, 40)}: {text}",
                run.kind: one_line(name, 80),
                "calls": float(run.calls),
                "tool_calls": float(run.tool_calls),
                "failed_calls": float(run.failures),
                "tokens": run.input_tokens + run.output_tokens,
                "run_s": (run.last - run.started) / 1e9,
            }
            if run.priced:
                evidence["cost_usd"] = round(run.cost_usd, 6)
            if signal is REPEATED:
                evidence["tool"] = one_line(run.repeated_tool, 80)
            labels = {"service.name": run.service, "gen_ai.agent.name": run.agent}
            self._episodes.tell(tenant, signal, {k: v for k, v in labels.items() if v}, at, value, evidence)

    def _before(self, tenant: str, run: Run, measure: str) -> float:
        past = self._past.get((tenant, run.service, run.kind))
        return past.high(measure) if past is not None else 0.0

    def _reason(self, run: Run, signal: Signal, text: str, at: int) -> None:
        monitor = self._episodes.monitors[signal.name].name
        others = tuple(each for each in run.reasons if each.monitor != monitor)
        first = next((each.at for each in run.reasons if each.monitor == monitor), at)
        run.reasons = (*others, Reason(monitor, text, first))[-_MOST_REASONS:]

    def expire(self, now: int) -> None:
        """Let go of runs that are over."""
        while self.runs:
            key, run = next(iter(self.runs.items()))
            if now - run.last <= IDLE_NS:
                return
            self._finish(key)

    def verdict(self, tenant: str, name: str) -> dict[str, Any]:
        """What is known of a run, trace or session: `stop` with reasons, `ok`, or `unknown`; read from any thread."""
        run = self.runs.get((tenant, name))
        if run is None:
            return {"id": name, "verdict": "unknown", "reasons": []}
        reasons = run.reasons
        return {
            "id": name,
            "kind": run.kind,
            "verdict": "stop" if reasons else "ok",
            "reasons": [{"monitor": each.monitor, "what": each.text, "since_ns": each.at} for each in reasons],
            "service": run.service,
            "agent": run.agent,
            "calls": run.calls,
            "tool_calls": run.tool_calls,
            "input_tokens": run.input_tokens,
            "output_tokens": run.output_tokens,
            "cost_usd": round(run.cost_usd, 6) if run.priced else None,
            "started_ns": run.started,
            "last_ns": run.last,
        }

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "runs": [[*key, run.snapshot()] for key, run in self.runs.items()],
            "past": [[*key, {k: list(v) for k, v in past.values.items()}] for key, past in self._past.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back."""
        self.runs = OrderedDict(((tenant, name), Run.of(run)) for tenant, name, run in state["runs"])
        self._past = OrderedDict()
        for tenant, service, kind, values in state["past"]:
            past = self._past[tenant, service, kind] = PastRuns()
            for measure, known in values.items():
                for value in known:
                    past.add({measure: value})


_MEASURES: Final = {REPEATED: "repeated_calls", FAN_OUT: "fan_out", TOKENS: "tokens_per_minute", COST: "cost"}


def _words(signal: Signal, run: Run, value: float) -> str:
    if signal is REPEATED:
        return f"{one_line(run.repeated_tool, 60)} called {value:g} times with the same arguments"
    if signal is FAN_OUT:
        return f"{value:g} calls by one step"
    if signal is TOKENS:
        return f"{value:,.0f} tokens in a minute"
    return f"{value:,.2f} USD so far"
