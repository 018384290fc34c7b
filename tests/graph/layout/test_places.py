"""The same place in different steps."""

from dataclasses import dataclass

from tinygrad_rnn.graph.layout.places import places


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
