"""Faults of a real fleet of GPUs, by kind and number: which of them show in telemetry, and are then an incident.

Counts: 158 GPU faults of 400 servers in 348 days (InfiniteHBD-Trace, StepFun, Apache-2.0). The trace has no readings:
each kind is emulated by the sign that dcgm-exporter or the driver gives of it.
"""

import json
from pathlib import Path

import pytest

from acceptance.test_a18_gpus import Box
from serving_world import GPU, S, gauge
from tocsin.spec.packs import load_packs

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

FAULTS = json.loads((Path(__file__).parents[1] / "golden" / "serving" / "gpu_faults.json").read_text())["faults"]
NAMES = {"serving", "gpu", "dcgm", "llm_edges", "resources", "prometheus"}
LEAST_SHARE = 0.55
SIGNS = {
    "GPU DBE(Double Bit ECC) > Threshold": "gpu-ecc-uncorrectable",
    "GPU xid Error": "gpu-xid",
    "GPU Temperature High": "thermal_pressure",
    "GPU Lost": "gpu-missing",
    "GPU device not found": "gpu-missing",
    "nvidia-smi Timeout": "gpu-driver-silent",
}
"""Of the others no page tells: widths of links and speeds between GPUs are not exported, the rest has no sign of its own."""


class Fleet(Box):
    """Two GPUs with ECC counters, and the driver of their host."""

    doubles, driver = 0.0, 1.0

    def pages(self):
        pages = super().pages()
        pages["dcgm"].append(gauge("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", GPU, self.doubles))
        return pages | {"gpu": [gauge("hw.gpu.driver.up", {"host.name": "n1"}, self.driver)]}

    def suffer(self, kind):
        match kind:
            case "GPU DBE(Double Bit ECC) > Threshold":
                self.doubles = 2.0
            case "GPU xid Error":
                self.told = {("GPU-1", "XID_ERRORS"): 79}
            case "GPU Temperature High":
                self.told = {("GPU-1", "GPU_TEMP"): 91}
            case "nvidia-smi Timeout":
                self.driver = 0.0
            case _:
                self.gone = {"GPU-2"}


@pytest.mark.parametrize("kind", SIGNS)
def test_a_fault_with_a_sign_is_one_incident(kind):
    box = Fleet([pack for pack in load_packs() if pack.name in NAMES])
    box.live(900, every=30 * S)
    assert box.incidents == {}
    box.suffer(kind)
    box.live(420, every=30 * S)
    (incident,) = box.incidents.values()
    assert SIGNS[kind] in {each.monitor for each in incident.findings}


def test_most_faults_of_the_fleet_have_a_sign():
    assert set(SIGNS) <= set(FAULTS)
    share = sum(FAULTS[kind] for kind in SIGNS) / sum(FAULTS.values())
    assert share >= LEAST_SHARE, share
