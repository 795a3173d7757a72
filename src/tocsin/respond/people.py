"""What people do about remedies: approve, reject, take back, propose; each says why it can't be."""

from __future__ import annotations

from tocsin.model.errors import BadInput
from tocsin.model.incident import Incident
from tocsin.model.remedy import ACTIVE, UNDOABLE, Remedy, remedy_id
from tocsin.respond.matching import wanted_by
from tocsin.respond.ports import Kept
from tocsin.spec.playbook import PlaybookSpec


def approved(remedy: Remedy, by: str, note: str, at: int) -> Remedy:
    """A proposal with a second person's word for it.

    Raises
    ------
    BadInput
        It does not wait, or the proposer is asked to approve.
    """
    if remedy.state != "waiting":
        raise BadInput(f"{remedy.id} is {remedy.state.replace('_', ' ')}, and only what waits can be approved")
    if by == remedy.proposer:
        raise BadInput(f"{remedy.id} was proposed by {by}: somebody else has to approve it")
    return remedy.moved(at, f"approved{_said(note)}", by, state="approved", approver=by)


def rejected(remedy: Remedy, by: str, note: str, at: int) -> Remedy:
    """A remedy that is not to be.

    Raises
    ------
    BadInput
        It has begun, or is settled.
    """
    if remedy.state not in ("held", "waiting", "approved"):
        step = "; take it back with undo" if remedy.state in UNDOABLE else ""
        raise BadInput(f"{remedy.id} is {remedy.state.replace('_', ' ')}, and can't be rejected any more{step}")
    return remedy.moved(at, f"rejected{_said(note)}", by, state="rejected")


def undone(remedy: Remedy, by: str, note: str, at: int) -> Remedy:
    """A remedy that is to be taken back now, whatever its proof says and whatever is stopped.

    Raises
    ------
    BadInput
        Nothing was done, or it can't be taken back.
    """
    if remedy.state not in UNDOABLE or not remedy.begun_at:
        raise BadInput(f"{remedy.id} is {remedy.state.replace('_', ' ')}: there is nothing to take back")
    if not remedy.plan.get("undo", False):
        raise BadInput(f"{remedy.id} ({remedy.kind.replace('_', ' ')}) can't be taken back")
    return remedy.moved(at, f"is taken back{_said(note)}", by, state="undoing", undo_by=by, attempts=0, next_at=0)


def proposed(kept: Kept, incident: Incident, playbook: PlaybookSpec, by: str, note: str, at: int) -> Remedy:
    """A remedy that a person proposes, say once more after one did not help; its conditions are looked at as ever.

    Raises
    ------
    BadInput
        The playbook is not for the incident, or is at it already.
    """
    finding = wanted_by(playbook.when, incident)
    if finding is None:
        raise BadInput(f"the playbook {playbook.name} is not for {incident.id} as it is now: `when` does not hold")
    before = [
        each for each in kept.remedies(incident.tenant, incident_id=incident.id) if each.playbook == playbook.name
    ]
    for each in before:
        if each.state in ACTIVE:
            raise BadInput(f"{each.id} is at it already ({each.state.replace('_', ' ')})")
    bare = Remedy(
        id=remedy_id(incident.tenant, incident.id, finding.id.hex(), f"{playbook.name}/{len(before)}/{by}"),
        tenant=incident.tenant,
        incident_id=incident.id,
        playbook=playbook.name,
        kind=playbook.action.type,
        target="",
        state="held",
        proposer=by,
        created_at=at,
        updated_at=at,
        finding_id=finding.id.hex(),
        revision=0,
    )
    return bare.moved(at, f"proposed{_said(note)}", by)


def _said(note: str) -> str:
    return f": {note}" if note else ""
