"""The same place in different steps."""

from dataclasses import dataclass

from tinygrad_rnn.graph.layout.places import places
from tinygrad_rnn.graph.views.figure import Edge


@dataclass
class Made:
    id: str
    operation: str | None
    step: int | None
    again: bool = False
    gap: object = None


def of(*steps):
    return places([Made(f"{t}{k}", op, t) for t, made in enumerate(steps) for k, op in enumerate(made)])


def test_operations_are_at_the_same_place_as_long_as_their_steps_did_the_same():
    found = of(["linear", "tanh", "sum"], ["linear", "tanh", "sum", "add"], ["linear", "sin", "sum"])
    assert found["00"] == found["10"] == found["20"]
    assert found["01"] == found["11"] != found["21"]
    assert found["02"] == found["12"] != found["22"]
    assert found["13"] not in {at for v, at in found.items() if v != "13"}


def test_no_two_operations_of_a_step_are_at_the_same_place():
    found = of(["tanh"] * 5, ["tanh"] * 3)
    assert len({found[f"0{k}"] for k in range(5)}) == 5


def test_the_places_of_a_first_step_that_does_less_are_found_from_the_end():
    full = ["concatenate", "matmul", "tanh", "tanh", "add"]
    found = of(["matmul", "tanh", "add"], full, full)
    assert [found[f"0{k}"] for k in range(3)] == [found["11"], found["13"], found["14"]]
    assert [found[f"1{k}"] for k in range(5)] == [found[f"2{k}"] for k in range(5)]


def test_a_leaf_has_the_place_of_the_operation_that_it_is_there_instead_of():
    nodes = [Made("constant", None, 0), Made("w", None, 0), Made("00", "matmul", 0)]
    nodes += [Made(f"{t}{k}", op, t) for t in (1, 2) for k, op in enumerate(["concatenate", "matmul"])]
    edges = [Edge("w", "00", ((2, 0),)), Edge("constant", "00", ((2, 1),))]
    edges += [Edge(f"{t}0", f"{t}1", ((2 * t + 2, 1),)) for t in (1, 2)]
    found = places(nodes, edges)
    assert found["constant"] == found["10"] == found["20"]
    assert "w" not in found


def test_leaves_gaps_and_what_is_drawn_again_or_outside_any_step_have_no_place():
    nodes = [
        Made("leaf", None, 0),
        Made("again", "tanh", 0, again=True),
        Made("gap", "tanh", 0, gap="hidden"),
        Made("outside", "tanh", None),
        Made("x", "tanh", 0),
        Made("y", "tanh", 1),
    ]
    assert places(nodes) == {"x": 0, "y": 0}
