"""Hosts and their GPUs: the newest readings, what should be there and is not, and the incidents about them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from fastapi import APIRouter

from tocsin.api.access import DepsIn, Reader
from tocsin.api.incidents import ACTIVE
from tocsin.api.present import Document, summary
from tocsin.api.problem import RESPONSES
from tocsin.model.times import time_to_json

router = APIRouter(prefix="/api", tags=["machines"], responses=RESPONSES)
_MOST_INCIDENTS = 500


@router.get("/machines", response_class=Document)
def machines(access: Reader, deps: DepsIn) -> Document:
    """List hosts and their devices with their newest readings; what was not heard of for 5 minutes is not live."""
    about: dict[str, list[Any]] = defaultdict(list)
    for each in deps.state.incidents(access.tenant, ACTIVE, 0, _MOST_INCIDENTS):
        for entity in each.entities:
            about[entity].append(summary(each))
    hosts = [] if deps.machines is None else deps.machines(access.tenant)
    return Document(
        {
            "now": time_to_json(deps.clock.now()),
            "hosts": [
                {
                    **host,
                    "last_time": time_to_json(host["last_time"]),
                    "devices": [
                        {**device, "last_time": time_to_json(device["last_time"]), "incidents": about[device["id"]][:3]}
                        for device in host["devices"]
                    ],
                    "incidents": about[host["host"]][:3],
                }
                for host in hosts
            ],
        }
    )
