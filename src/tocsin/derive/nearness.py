"""Which devices an engine runs on, which engines a device may carry, who asks an engine: looked up, not searched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from tocsin.derive.readings import Thing, ThingKey, Things

PLACES: Final = ("pod", "instance", "host")
ASKED_BY: Final = ("model", "instance", "pod")
_Index = dict[tuple[str, str, str], list[Thing]]


class Nearness:
    """Answers from the labels of all things; made anew when these tell something new."""

    def __init__(self, things: Things) -> None:
        self._things = things
        self._version = -1
        self._devices: dict[ThingKey, list[Thing]] = {}
        self._engines: dict[ThingKey, list[Thing]] = {}
        self._carried: dict[ThingKey, list[Thing]] = {}
        self._anywhere: dict[str, list[Thing]] = {}
        self._demand: dict[ThingKey, list[Thing]] = {}
        self._homes: dict[tuple[str, str], list[Thing]] = {}
        self._hosts: dict[ThingKey, list[Thing]] = {}
        self._spoken: dict[ThingKey, list[str]] = {}

    def devices_of(self, engine: Thing) -> Sequence[Thing]:
        """Devices that an engine runs on; of a host with several engines none can be told."""
        self._refresh()
        return self._devices.get(engine.key, ())

    def engines_of(self, device: Thing) -> Sequence[Thing]:
        """Engines of which it is known that they run on a device."""
        self._refresh()
        return self._carried.get(device.key, ())

    def engines_near(self, device: Thing) -> Iterable[Thing]:
        """Engines that run on a device, or may: one whose devices nobody knows may be on any."""
        self._refresh()
        return (*self._engines.get(device.key, ()), *self._anywhere.get(device.key[0], ()))

    def demand_of(self, engine: Thing) -> Sequence[Thing]:
        """Who counts requests in front of an engine."""
        self._refresh()
        return self._demand.get(engine.key, ())

    def devices_at(self, tenant: str, home: str) -> Sequence[Thing]:
        """Devices of a host, as their own labels call it."""
        self._refresh()
        return self._homes.get((tenant, home), ()) if home else ()

    def hosts_of(self, device: Thing) -> Sequence[Thing]:
        """What says that a device's page is there, or if it speaks of no page, its host."""
        self._refresh()
        return self._hosts.get(device.key, ())

    def homes_of(self, host: Thing) -> Sequence[str]:
        """Hosts for whose devices it speaks."""
        self._refresh()
        return self._spoken.get(host.key, ())

    def _refresh(self) -> None:
        if self._version == self._things.version:
            return
        self._version = self._things.version
        every: dict[str, list[Thing]] = defaultdict(list)
        for thing in self._things.known.values():
            every[thing.key[1]].append(thing)
        self._place_engines(every["engine"], every["device"])
        asking = _index(every["demand"], ASKED_BY)
        self._demand = {engine.key: _at(asking, engine, ASKED_BY) for engine in every["engine"]}
        self._homes = {}
        for device in every["device"]:
            self._homes.setdefault((device.key[0], device.home), []).append(device)
        self._place_hosts(every["host"], every["device"])

    def _place_engines(self, engines: Sequence[Thing], devices: Sequence[Thing]) -> None:
        at, of_hosts = _index(devices, PLACES), _index(engines, ("host",))
        self._devices, self._engines, self._anywhere = {}, defaultdict(list), defaultdict(list)
        self._carried = defaultdict(list)
        for engine in engines:
            near = _at(at, engine, PLACES)
            for device in near:
                self._engines[device.key].append(engine)
            if not near:
                self._anywhere[engine.key[0]].append(engine)
            place = next((place for place in PLACES if _at(at, engine, (place,))), "host")
            shared = place == "host" and len(_at(of_hosts, engine, ("host",))) > 1
            mine = self._devices[engine.key] = [] if shared else _at(at, engine, (place,))
            for device in mine:
                self._carried[device.key].append(engine)

    def _place_hosts(self, hosts: Sequence[Thing], devices: Sequence[Thing]) -> None:
        pages = _index([host for host in hosts if host.places.get("instance")], ("instance",))
        whole = _index([host for host in hosts if not host.places.get("instance")], ("host",))
        self._hosts, self._spoken = {}, defaultdict(list)
        for device in devices:
            speaking = [*_at(pages, device, ("instance",)), *_at(whole, device, ("host",))]
            self._hosts[device.key] = speaking
            for host in speaking:
                if device.home not in self._spoken[host.key]:
                    self._spoken[host.key].append(device.home)


def _index(things: Iterable[Thing], places: Sequence[str]) -> _Index:
    found: _Index = {}
    for thing in things:
        for place in places:
            for value in sorted(thing.places.get(place, ())):
                found.setdefault((thing.key[0], place, value), []).append(thing)
    return found


def _at(index: _Index, thing: Thing, places: Sequence[str]) -> list[Thing]:
    """Those that share a place with a thing, each once."""
    found: dict[ThingKey, Thing] = {}
    for place in places:
        for value in sorted(thing.places.get(place, ())):
            found.update((each.key, each) for each in index.get((thing.key[0], place, value), ()))
    return list(found.values())
