"""Random routes, most of which can be read, in the words of a model: the same text for the library and for the page."""

RANGES = ["[2]", "[1:3]", "[2:]", "[:2]", "[9]", "[:]", "[3:1]", "[-1]"]
REPEATED = ["*", "*", "+", "?", "{2}", "{1,3}", "{2,}", "^2", "^0", "{3,1}"]
SCOPES = ["forget/", "output/", "nowhere/", "layer0/"]


def letter(rng, names):
    return "".join([
        "!" * (rng.random() < 0.1), rng.choice(SCOPES) * (rng.random() < 0.1), rng.choice(names),
        rng.choice(RANGES) * (rng.random() < 0.15), ">" * (rng.random() < 0.1),
    ])  # fmt: skip


def expression(rng, names, depth=2):
    parts = []
    for _ in range(rng.choice([1, 1, 2, 3])):
        inner = rng.random() < 0.15 and depth
        one = f"({expression(rng, names, depth - 1)})" if inner else letter(rng, [*names, "."])
        parts.append(one + (rng.choice(REPEATED) if rng.random() < 0.4 else ""))
    text = rng.choice([" ", ""]).join(parts)
    return text if rng.random() < 0.8 else f"{text} | {letter(rng, names)}"


def slip(rng, text):
    """A character too many, somewhere."""
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice("()[]{}*+?|^>!/.'0") + text[at:]


def combination(rng, names, depth=2):
    kind = rng.choice(["one", "one", "not", "and", "or"]) if depth else "one"
    if kind == "not":
        return f"~{combination(rng, names, depth - 1)}"
    if kind != "one":
        left, right = (combination(rng, names, depth - 1) for _ in range(2))
        return f"({left} {'&' if kind == 'and' else '|'} {right})"
    ready = rng.choice(["along", "across", "through", "avoiding", "tbptt", "chunks"])
    if ready in ("tbptt", "chunks"):
        return f"{ready}({rng.randrange(4)})"
    return f'{ready}("{letter(rng, names) if ready in ("through", "avoiding") else expression(rng, names)}")'


def routes(rng, names, count):
    """(kind, text) each: "along" or "across" with an expression, or None with routes combined."""
    for _ in range(count):
        if rng.random() < 0.3:
            yield None, combination(rng, names)
        else:
            text = expression(rng, names)
            yield rng.choice(["along", "across"]), slip(rng, text) if rng.random() < 0.1 else text
