"""Joint signals of readings that no machine can have: they are no numbers, and those of the others are judged on."""

import math

import pytest

from fold_world import Fold, counter, gauge
from serving_world import GPU, VLLM
from tocsin.spec.engine import EngineSpec
from tocsin.spec.packs import load_packs

PACKS = [pack for pack in load_packs() if pack.name in {"dcgm", "gpu", "serving", "vllm"}]
GATEWAY = {"model_name": "llama", "target_model_name": "llama"}
OTHER = GPU | {"gpu": "1", "UUID": "GPU-1", "device": "nvidia1"}


def page(beat, code, total, power):
    """A page of an engine, two devices and two gateways; `power` are those of the devices."""
    return [
        gauge("DCGM_FI_DEV_XID_ERRORS", code, **GPU),
        gauge("DCGM_FI_DEV_GPU_UTIL", 50, **GPU),
        *(gauge("DCGM_FI_DEV_POWER_USAGE", watt, **of) for watt, of in zip(power, (GPU, OTHER), strict=True)),
        gauge("vllm:num_requests_running", 1, **VLLM),
        counter("vllm:generation_tokens_total", beat, **VLLM),
        *(
            counter("inference_objective_request_total", count, instance=f"gateway-{n}", **GATEWAY)
            for n, count in enumerate((total, -total))
        ),
    ]


@pytest.mark.parametrize("odd", [math.inf, -math.inf, 1.7e308, -1.7e308, 1e200])
def test_readings_beyond_any_machine_end_no_fold(odd):
    fold = Fold(EngineSpec(packs=PACKS))
    for beat in range(60):
        strange = beat % 4 == 3
        code, total = (odd, abs(odd)) if strange else (79 if beat > 50 else 0, float(beat))
        fold.points(page(beat, code, total, (odd, -odd) if strange else (100.0, 100.0)))
        fold.tick(10, "s")
    proofs = [proof for proof in fold.pipeline.joint.snapshot()["proof"] if "code" in proof[1]]
    assert [proof["code"] for _, proof in proofs] == [79.0]
    state = fold.pipeline.joint.told
    assert max(abs(state.total[: state.size])) < 1e31
