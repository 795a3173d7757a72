"""`EngineSpec`: all that the engine needs to be told, as it enters the log in a Control record `spec`."""

from __future__ import annotations

from tocsin.model.log import Control
from tocsin.spec.calendar import CalendarTable
from tocsin.spec.drift import DriftSpec
from tocsin.spec.joint import InventorySpec
from tocsin.spec.llm import ModelSpec
from tocsin.spec.monitor import SECOND, MonitorSpec, Spec
from tocsin.spec.pack import FamilySpec, PackSpec
from tocsin.spec.quantity import DurationNs
from tocsin.spec.spend import BudgetSpec
from tocsin.spec.team import TeamSpec
from tocsin.spec.topology import RunbookSpec, TopologySpec


class EngineSpec(Spec):
    """Monitors (the user's and those of the packs), packs, calendars, and the budget of false pages."""

    monitors: list[MonitorSpec] = []
    packs: list[PackSpec] = []
    calendars: list[CalendarTable] = []
    families: list[FamilySpec] = []
    teams: list[TeamSpec] = []
    drift: list[DriftSpec] = []
    models: list[ModelSpec] = []
    budgets: list[BudgetSpec] = []
    inventory: list[InventorySpec] = []
    topology: TopologySpec = TopologySpec()
    runbooks: list[RunbookSpec] = []
    false_pages_per_week: float = 3.0  # of all that no team owns
    absorb_after: DurationNs = 24 * 3600 * SECOND  # an anomaly nobody resolves becomes the new normal

    def control(self) -> Control:
        """The record that puts this spec into force."""
        return Control.of("spec", self.model_dump_json(by_alias=True).encode())

    @staticmethod
    def of(control: Control) -> EngineSpec:
        """Read a spec back from its record."""
        return EngineSpec.model_validate_json(control.body)

    def all_families(self) -> list[FamilySpec]:
        """Rules for kinds of quantities, the user's before those of packs."""
        return [*self.families, *(family for pack in self.packs for family in pack.families)]

    def all_monitors(self) -> list[MonitorSpec]:
        """Monitors by name, the user's replacing those of packs."""
        named = {monitor.name: monitor for pack in self.packs for monitor in pack.monitors}
        named.update({monitor.name: monitor for monitor in self.monitors})
        return [named[name] for name in sorted(named)]
