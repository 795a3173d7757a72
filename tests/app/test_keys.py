"""Keys and what they grant."""

from __future__ import annotations

import stat

import pytest

from tocsin.app.keys import KeyRing
from tocsin.model.access import OPEN_ACCESS, Scope
from tocsin.model.clock import ManualClock
from tocsin.model.errors import BadInput, Corrupt


@pytest.fixture
def ring(tmp_path):
    return KeyRing(tmp_path / "keys.json", ManualClock(5))


def test_a_key_grants_its_scope_and_tenant_and_nothing_else(ring):
    access = ring.authorise(f"Bearer {ring.create(Scope.INGEST, 'acme')}")
    assert (access.tenant, access.scopes) == ("acme", frozenset({Scope.INGEST}))
    assert access.allows(Scope.INGEST)
    assert not any(access.allows(scope) for scope in (Scope.READ, Scope.OPERATE, Scope.ADMIN))


def test_admin_allows_everything(ring):
    access = ring.authorise(f"bearer  {ring.create(Scope.ADMIN)}")
    assert all(access.allows(scope) for scope in Scope)


def test_the_secret_is_not_kept_and_the_file_is_private(ring, tmp_path):
    key = ring.create(Scope.READ)
    path = tmp_path / "keys.json"
    assert key.split("_", 2)[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "change",
    [
        lambda k: k[:-1] + ("A" if k[-1] != "A" else "B"),
        lambda k: k[:-1],
        lambda k: k + "x",
        lambda k: "tk_" + "0" * 12 + k[15:],
        lambda k: "",
    ],
)
def test_what_is_not_a_key(ring, change):
    key = ring.create(Scope.READ)
    assert ring.authorise(f"Bearer {change(key)}") is None
    assert ring.authorise(key) is None
    assert ring.authorise(f"Basic {key}") is None
    assert ring.authorise(None) is None


def test_revoking_works_at_once_in_every_process(ring, tmp_path):
    key = ring.create(Scope.READ)
    other = KeyRing(tmp_path / "keys.json", ManualClock())
    assert other.authorise(f"Bearer {key}") is not None
    ring.revoke(key.split("_")[1])
    assert other.authorise(f"Bearer {key}") is None
    assert ring.list() == []


def test_revoking_takes_the_whole_key_as_well(ring):
    key = ring.create(Scope.READ)
    ring.revoke(key)
    assert ring.list() == []


def test_revoking_what_is_not_there(ring):
    key = ring.create(Scope.READ)
    name = key.split("_")[1]
    with pytest.raises(BadInput, match=f"did you mean `{name}`"):
        ring.revoke(name[:-1] + ("0" if name[-1] != "0" else "1"))


def test_an_open_bind_is_open_also_once_there_are_keys(tmp_path):
    ring = KeyRing(tmp_path / "keys.json", ManualClock(), open_access=True)
    key = ring.create(Scope.INGEST, "acme")
    assert ring.authorise(None) == OPEN_ACCESS
    assert ring.authorise("Bearer somebody-elses") == OPEN_ACCESS
    assert ring.authorise(f"Bearer {key}").tenant == "acme"
    assert ring.authorise(f"Bearer {key[:-2]}zz") is None


def test_a_damaged_file_grants_nothing_and_is_not_overwritten(ring, tmp_path):
    (tmp_path / "keys.json").write_text("{")
    assert ring.authorise("Bearer tk_000000000000_" + "a" * 43) is None
    with pytest.raises(Corrupt, match="is not a file of keys"):
        ring.create(Scope.READ)
    assert (tmp_path / "keys.json").read_text() == "{"


def test_names_of_tenants(ring):
    with pytest.raises(BadInput, match="no name for a tenant"):
        ring.create(Scope.READ, "../x")
    assert ring.list() == []


def test_keys_made_at_the_same_time_are_all_kept(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: KeyRing(tmp_path / "keys.json", ManualClock()).create(Scope.READ), range(24)))
    assert len(set(made)) == len(KeyRing(tmp_path / "keys.json", ManualClock()).list()) == 24


def test_a_file_broken_by_hand_leaves_the_known_keys_in_force(ring, tmp_path, capsys):
    key = ring.create(Scope.READ)
    path = tmp_path / "keys.json"
    good = path.read_text()
    assert ring.authorise(f"Bearer {key}") is not None
    path.write_text(good[:-9])
    assert ring.authorise(f"Bearer {key}") is not None
    assert ring.authorise(f"Bearer {key[:-1]}") is None
    assert capsys.readouterr().out.count("stay in force") == 1
    newcomer = KeyRing(path, ManualClock())
    assert newcomer.authorise(f"Bearer {key}") is None
    with pytest.raises(Corrupt, match="restore it from a backup"):
        newcomer.list()
    path.write_text(good)
    assert newcomer.authorise(f"Bearer {key}") is not None
