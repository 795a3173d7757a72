"""Supervision, with real processes and real signals."""

from __future__ import annotations

import os
import signal
import socket

import psutil
import pytest


def gone(pid: int) -> bool:
    try:
        psutil.Process(pid).wait(30)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def test_ready_then_term_drains_the_hot_one_first_and_ends_with_0(start, port):
    server = start(port)
    pids = server.both_started()
    assert server.until("ready:") == f"out: ready: http://127.0.0.1:{port}"
    server.send(signal.SIGTERM)
    assert server.pid("hot ended") == pids["hot"]
    assert server.pid("cold ended") == pids["cold"]
    assert server.end() == 0
    assert all(gone(pid) for pid in pids.values())
    assert not list(server.temporary.iterdir())
    assert not any("printed by mistake" in line for line in server.seen if line.startswith("out:"))


def test_a_companion_that_fails_is_told_after_both_ended_in_good_order(start, port, tmp_path):
    (tmp_path / "companion.fails").touch()
    server = start(port)
    pids = server.both_started()
    assert server.pid("hot ended") == pids["hot"]
    assert server.pid("cold ended") == pids["cold"]
    assert server.end() == 2
    assert [line for line in server.seen if "nobody answers" in line]
    assert not [line for line in server.seen if "Traceback" in line or "is closed" in line]


def test_a_killed_process_is_started_again_and_the_other_one_never_notices(start, port, tmp_path):
    server = start(port)
    pids = server.both_started()
    server.until("ready:")
    for name in ("cold", "hot"):
        os.kill(pids[name], signal.SIGKILL)
        assert '"exit_code": -9' in server.until("started again")
        assert server.pid(f"{name} started") != pids[name]
    server.send(signal.SIGTERM)
    assert server.end() == 0
    assert sum("out: ready" in line for line in server.seen) == 1


def test_callers_wait_while_the_hot_process_restarts(start, port):
    server = start(port)
    pids = server.both_started()
    server.until("ready:")
    os.kill(pids["hot"], signal.SIGKILL)
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    server.pid("hot started")


def test_a_second_signal_forces_the_end(start, port, tmp_path):
    (tmp_path / "hot.deaf").touch()
    server = start(port)
    pids = server.both_started()
    server.until("ready:")
    server.send(signal.SIGTERM)
    server.until("hot deaf")
    server.send(signal.SIGINT)
    assert server.end() == 1
    assert all(gone(pid) for pid in pids.values())


def test_a_process_that_does_not_end_is_killed_after_a_while(start, port, tmp_path):
    (tmp_path / "hot.deaf").touch()
    server = start(port)
    server.until("ready:")
    server.send(signal.SIGTERM)
    server.until("did not end in time")
    server.until("cold ended")
    assert server.end() == 1


@pytest.mark.parametrize("stdin", ["blocks", "nonblocking"])
def test_no_orphans_when_the_supervisor_is_killed(start, port, tmp_path, stdin):
    (tmp_path / f"cold.{stdin}").touch()
    server = start(port)
    pids = server.both_started()
    server.until("ready:")
    (left,) = server.temporary.iterdir()
    server.send(signal.SIGKILL)
    server.end()
    assert all(gone(pid) for pid in pids.values())
    again = start(port)
    again.until("ready:")
    (fresh,) = again.temporary.iterdir()  # what was left is swept at the next start
    assert fresh != left


def test_a_bad_configuration_ends_with_2_and_takes_the_other_process_along(start, port, tmp_path):
    (tmp_path / "cold.exit").write_text("2")
    server = start(port)
    assert server.end() == 2
    assert not any("out: ready" in line for line in server.seen)


def test_a_process_that_never_gets_ready_is_given_up(start, port, tmp_path):
    (tmp_path / "cold.exit").write_text("1")
    server = start(port)
    assert server.end() == 1
    assert sum("cold started" in line for line in server.seen) == 2
    assert any("given up" in line for line in server.seen)


def test_hangup_reaches_both(start, port):
    server = start(port)
    server.until("ready:")
    server.send(signal.SIGHUP)
    names = {server.until(" hup ").split(" ")[1], server.until(" hup ").split(" ")[1]}
    assert names == {"hot", "cold"}


def test_a_taken_port_says_who_has_it(start, port):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        server = start(port)
        assert server.end() == 2
    message = f"port {port} on 127.0.0.1 is taken by {psutil.Process().name()} (pid {os.getpid()})"
    assert any(message in line and "--port N" in line for line in server.seen)


def test_one_data_directory_one_server(start, port):
    first = start(port)
    first.until("ready:")
    second = start(port)
    assert second.end() == 2
    assert any(f"another tocsin (pid {first.process.pid}) uses the data directory" in line for line in second.seen)


def test_a_bind_that_others_reach_gets_a_first_key_once(start, port):
    server = start(port, "0.0.0.0")
    key = server.until("out: key: ").split(" ")[-1]
    assert key.startswith("tk_")
    server.until("ready:")
    server.send(signal.SIGTERM)
    assert server.end() == 0
    again = start(port, "0.0.0.0")
    again.until("ready:")
    assert not any("key: tk_" in line for line in again.seen)


def test_a_server_that_ran_goes_on_trying(start, port, tmp_path):
    server = start(port)
    pids = server.both_started()
    server.until("ready:")
    (tmp_path / "cold.exit").write_text("1")
    os.kill(pids["cold"], signal.SIGKILL)
    for _ in range(4):  # twice as often as it takes to give up at a start
        server.until("started again")
    (tmp_path / "cold.exit").unlink()
    server.pid("cold started")
    server.send(signal.SIGTERM)
    assert server.end() == 0
