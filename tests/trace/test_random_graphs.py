"""Random routes over random graphs: skip connections, named weights, losses anywhere, batches, against all paths one by
one. A route is drawn as a tree, written as text for the package, and matched by a matcher of its own here."""

import contextlib

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace import brute_force

NAMES, SCOPES = ["h", "c", "f"], ["layer0", "enc"]
REPEATS = {
    "*": (0, None),
    "+": (1, None),
    "?": (0, 1),
    "^2": (2, 2),
    "{1,3}": (1, 3),
    "{2,}": (2, None),
    "{0,2}": (0, 2),
}


def graph(rng):
    """-> losses, possible sources"""
    n, batch = int(rng.integers(1, 3)), int(rng.integers(0, 3))
    shape = (batch, n) if batch else (n,)
    w = tg.Tensor(rng.normal(size=(n, n)), requires_grad=True, name="W" if rng.random() < 0.7 else None)
    b = tg.Tensor(rng.normal(size=n), requires_grad=True)
    x = tg.Tensor(rng.normal(size=shape), requires_grad=True, name="x" if rng.random() < 0.3 else None)
    used = w.T * 1.0 if rng.random() < 0.3 else w
    made, losses = [x], []

    def recent():
        return made[-1 - min(int(rng.geometric(0.5)) - 1, len(made) - 1)]

    operations = [
        lambda a, _: a @ used,
        lambda a, _: np.tanh(a),
        lambda a, c: a * c,
        lambda a, c: a + c,
        lambda a, _: a * a,
        lambda a, _: a * b,
        lambda a, c: np.where(np.arange(a.size).reshape(a.shape) % 2 == 0, a, c),
    ]
    steps = list(range(int(rng.integers(1, 6))))
    for t in steps[::-1] if rng.random() < 0.15 else steps:
        with tg.step(t) if rng.random() < 0.92 else contextlib.nullcontext():
            for _ in range(int(rng.integers(1, 5))):
                with tg.scope(str(rng.choice(SCOPES))) if rng.random() < 0.5 else contextlib.nullcontext():
                    y = operations[rng.integers(len(operations))](recent(), recent())
                    made.append(y.named(str(rng.choice(NAMES))) if rng.random() < 0.6 else y)
            if rng.random() < 0.4:
                losses.append((made[-1] * rng.normal(size=shape)).sum())
    losses.append((made[-1] * rng.normal(size=shape)).sum())
    if rng.random() < 0.3:
        losses += [losses[int(rng.integers(len(losses)))], (losses[0] * losses[-1]).sum()]  # twice; one reaches another
    return losses, [w, b, *made]


def expression(rng, depth, names, along):
    r = rng.random()
    if depth == 0 or r < 0.4:
        step = int(rng.integers(0, 4)) if rng.random() < 0.15 else None
        name = None if rng.random() < 0.25 else str(rng.choice(names))
        but, scope = rng.random() < 0.2 and name is not None, str(rng.choice(["", "", "", "", *SCOPES])) if name else ""
        return "letter", name, but, scope, step, along and rng.random() < 0.15
    if r < 0.75:
        kind = "then" if r < 0.6 else "either"
        count = int(rng.integers(0 if kind == "then" else 1, 4))
        return kind, [expression(rng, depth - 1, names, along) for _ in range(count)]
    return "repeat", expression(rng, depth - 1, names, along), str(rng.choice(list(REPEATS)))


def written(e):
    if e[0] == "letter":
        _, name, but, scope, step, crossing = e
        word = f"{'!' * but}{scope}{'/' * bool(scope)}{name or '.'}"
        return f"{word}{'' if step is None else f'[{step}]'}{'>' * crossing}"
    if e[0] == "repeat":
        return f"({written(e[1])}){e[2]}"
    return f"({(' ' if e[0] == 'then' else ' | ').join(map(written, e[1]))})"


def ends(e, word, start):
    """The places in a word where a match that begins at one of `start` may end."""
    if e[0] == "letter":
        return {k + 1 for k in start if k < len(word) and is_letter(e, *word[k])}
    if e[0] == "either":
        return set().union(*(ends(part, word, start) for part in e[1]))
    if e[0] == "then":
        for part in e[1]:
            start = ends(part, word, start)
        return start
    low, high = REPEATS[e[2]]
    found = set(start) if low == 0 else set()
    for times in range(1, (len(word) + low if high is None else high) + 1):
        start = ends(e[1], word, start)
        found |= start if times >= low else set()
    return found


def is_letter(e, name, scope, step, crosses):
    _, wanted, but, within, at, crossing = e
    called = wanted is None or (name == wanted and (not within or f"/{within}/" in f"/{scope}/"))
    return called != but and (at is None or step == at) and (crosses or not crossing)


def route(rng, names, crossing_names, depth=2):
    """-> the route, and what it says about a path"""
    r = rng.random()
    if depth == 0 or r < 0.6:
        along = not crossing_names or rng.random() < 0.5
        e = expression(rng, int(rng.integers(0, 4)), names if along else crossing_names, along)
        return (tg.along if along else tg.across)(
            written(e)
        ), lambda w, x: len(w if along else x) in ends(e, w if along else x, {0})
    one, in_one = route(rng, names, crossing_names, depth - 1)
    if r < 0.7:
        return ~one, lambda w, x: not in_one(w, x)
    two, in_two = route(rng, names, crossing_names, depth - 1)
    if r < 0.85:
        return one & two, lambda w, x: in_one(w, x) and in_two(w, x)
    return one | two, lambda w, x: in_one(w, x) or in_two(w, x)


def words(edges, source):
    landmarks, crossings = [], []
    for x, node, _ in edges:
        a, b = x.place.step, node.place.step
        crosses = a is not None and b is not None and a != b
        if x.name and x is not source:
            landmarks.append((x.name, x.place.scope, a, crosses))
        if crosses:
            crossings.append((x.name or "_", x.place.scope, a, crosses))
    return landmarks, crossings


def by_word(paths, source, unit):
    """The contributions of paths that stop at the same nodes, added up."""
    found = {}
    for edges, part in paths:
        stops = [
            x.index
            for x, node, _ in edges
            if x is not source
            and (x.name if unit == "landmark" else None not in (a := (x.place.step, node.place.step)) and a[0] != a[1])
        ]
        key = *stops, edges[-1][1].index if edges else None
        found[key] = found.get(key, 0) + part
    return found.values()


def first_step(edges):
    return next((node.place.step for _, node, _ in edges if node.place.step is not None), None)


def asked(seed):
    """-> rng, trace, all paths by loss; None where there is nothing to ask, or too much to enumerate."""
    rng = np.random.default_rng(seed)
    losses, sources = graph(rng)
    source = sources[int(rng.integers(len(sources)))]
    try:
        trace = tg.trace_gradient(losses, to=source)
    except RuntimeError:
        assert not brute_force.walks(losses, source)
        return None
    if trace.count_paths() > 2000:
        return None
    return rng, trace, [brute_force.walks([loss], source) for loss in losses]


def answered(trace, route):
    """None for a step or a scope that is nowhere there."""
    try:
        return trace.on(route)
    except ValueError as refused:
        if "asks for" in str(refused) or "means nothing" in str(refused):
            return None
        raise


@pytest.mark.parametrize("seed", range(250))
def test_every_answer_is_that_of_all_paths_one_by_one(seed):
    if (found := asked(seed)) is None:
        return
    rng, trace, by_loss = found
    source, every = trace.paths.source, [path for paths in by_loss for path in paths]
    said = [(*words(edges, source), edges, part) for edges, part in every]
    largest = max([np.max(np.abs(part)) for _, part in every], default=1.0) or 1.0
    names = sorted({mark[0] for w, _, _, _ in said for mark in w}) or NAMES
    crossing_names = sorted({mark[0] for _, x, _, _ in said for mark in x})

    def close(found, parts, shape=source.shape):
        assert np.max(np.abs(found - sum(parts, np.zeros(shape))), initial=0.0) < 1e-11 * largest

    assert trace.count_paths() == len(every)
    close(trace.total, [part for _, part in every])
    for _ in range(3):
        asked_for, belongs = route(rng, names, crossing_names)
        inside = [(edges, part) for w, x, edges, part in said if belongs(w, x)]
        answer = answered(trace, asked_for)
        if answer is None:
            continue
        close(answer.gradient, [part for _, part in inside])
        assert answer.connected == bool(inside)
        assert trace.count_paths(asked_for) == len(inside)
        for unit in ("state", "landmark"):
            expected = sorted(map(np.linalg.norm, by_word(inside, source, unit)), reverse=True)
            top = trace.top_paths(len(expected) + 2, unit=unit, within=asked_for)
            assert [path.norm for path in top] == pytest.approx(expected, rel=1e-10, abs=1e-12 * largest)
    for name in crossing_names:
        for k, part in enumerate(trace.by_crossings(name)):
            close(part.gradient, [p for _, x, _, p in said if sum(m[0] == name for m in x) == k])
    ledger = trace.ledger()
    for row, paths in enumerate(by_loss):
        for column, step in enumerate(ledger.steps):
            at_step = [part for edges, part in paths if first_step(edges) == step]
            close(ledger.contributions[row, column], at_step)
            assert ledger.connected[row, column] == bool(at_step)
        if None not in ledger.steps:
            for name in crossing_names[:1]:
                spectrum = trace.spectrum(name)
                streaming = trace.streaming_spectrum(name)
                assert streaming.lags == spectrum.lags
                for at, k in np.ndindex(spectrum.connected.shape):
                    cell = [
                        part
                        for tau, walks in zip(ledger.loss_steps, by_loss, strict=True)
                        for edges, part in walks
                        if tau - first_step(edges) == spectrum.lags[at]
                        and sum(m[0] == name for m in words(edges, source)[1]) == k
                    ]
                    close(spectrum.gradients[at, k], cell)
                    assert spectrum.connected[at, k] == streaming.connected[at, k] == bool(cell)
                np.testing.assert_allclose(streaming.shares, spectrum.shares, rtol=1e-9, atol=1e-9)
    edges = sorted({(node.index, slot) for walk, _ in every for _, node, slot in walk})
    if edges:
        nodes = {node.index: node for walk, _ in every for _, node, _ in walk}
        cut = [edges[int(k)] for k in rng.integers(len(edges), size=2)]
        name = str(rng.choice(names)) if said and any(w for w, *_ in said) else None
        left = [
            part
            for w, _, walk, part in said
            if not any((node.index, slot) in cut for _, node, slot in walk) and all(m[0] != name for m in w)
        ]
        part = trace.without(*[(nodes[index], slot) for index, slot in cut], *([name] if name else []))
        close(part.gradient, left)
        assert part.connected == bool(left)


def test_most_of_those_graphs_have_something_to_ask():
    with_paths = [found for seed in range(250) if (found := asked(seed))]
    assert len(with_paths) > 120
    assert sum(len(paths) for _, _, by_loss in with_paths for paths in by_loss) > 1500
