from incident_world import BOT, GPU, VLLM, packs
from tocsin.correlate import topology
from tocsin.correlate.topology import EntityKeys, Topology
from tocsin.spec.pack import PackSpec

KEYS = EntityKeys(packs())


def test_the_most_specific_entity_comes_first():
    assert KEYS.entities(BOT) == ("support-bot", "llama-70b")
    assert KEYS.entities(GPU)[:2] == ("GPU-1", "gpu-1/0")
    assert KEYS.entities({"k8s.pod.name": "p", "service.name": "s", "k8s.node.name": "n"}) == ("p", "s", "n")
    assert KEYS.entities({"unknown": "x"}) == ()


def test_the_port_is_no_part_of_a_host_and_loopback_is_no_host():
    assert "gpu-1" in KEYS.entities(VLLM)
    assert KEYS.entities({"instance": "127.0.0.1:9100"}) == ("127.0.0.1:9100",)


def test_a_key_of_two_labels_needs_both():
    keys = EntityKeys([PackSpec(name="x", version=1, entities=[["a+b"]])])
    assert keys.entities({"a": "1", "b": "2"}) == ("1/2",)
    assert keys.entities({"a": "1"}) == ()


def learned(*labels):
    graph = Topology()
    for each in labels:
        for pair in KEYS.pairs(each):
            graph.relate(*pair)
    return graph


def test_distance_counts_relations():
    graph = learned(BOT, VLLM, GPU)
    found = graph.around(["support-bot"], 3)
    assert found["support-bot"] == 0
    assert found["llama-70b"] == 1
    assert found["gpu-1:8000"] == 2
    assert "GPU-1" not in graph.around(["support-bot"], 2)


def test_what_everything_shares_relates_nothing():
    graph = learned(*({"instance": f"host-{i}:9100", "job": "node"} for i in range(100)))
    assert graph.is_hub("node")
    assert set(graph.around(["host-1:9100"], 3)) == {"host-1:9100", "host-1"}


def test_the_graph_is_bounded_and_forgets_the_oldest(monkeypatch):
    monkeypatch.setattr(topology, "MAX_NODES", 10)
    graph = Topology()
    for number in range(100):
        graph.relate(f"a{number}", f"b{number}")
    assert len(graph.snapshot()) == 10
    assert graph.around(["a99"], 1) == {"a99": 0, "b99": 1}
    assert graph.around(["a1"], 1) == {"a1": 0}


def test_a_snapshot_comes_back():
    graph, again = learned(BOT, VLLM, GPU), Topology()
    again.restore(graph.snapshot())
    assert again.snapshot() == graph.snapshot()
    assert again.around(["support-bot"], 3) == graph.around(["support-bot"], 3)
