"""Stepping through: a training step like in a debugger, forwards and backwards in time.

A network gives NaN. Which operation made it, out of what, on which line, at which time step? And once that is mended:
where is the gradient at each moment of the backward pass? The sessions below are what one would type at the prompt of
`tg.debug(loss)`, or of `python -m tinygrad_rnn debug FILE.py`, which stops at the program's own `backward()`.
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tg

STEPS, HIDDEN, INPUT = 10, 3, 2


def cell(x: tg.Tensor, h: tg.Tensor, w: tg.Tensor, u: tg.Tensor, floor: float) -> tg.Tensor:
    """A recurrence with a logarithm in its gate; the logarithm wants what is positive."""
    a = (w @ h + u @ x).named("a")
    with tg.scope("gate"):
        g = tg.log(a * a + floor).named("g")
    return (a.tanh() + 0.1 * g).named("h")


def run(floor_at_7: float) -> tg.Tensor:
    """A loss after ten steps; the floor of the gate is 1 but at step 7."""
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(0, 0.6, (HIDDEN, HIDDEN)), requires_grad=True, name="W")
    u = tg.Tensor(rng.normal(0, 1.0, (HIDDEN, INPUT)), requires_grad=True, name="U")
    h = tg.Tensor(np.zeros(HIDDEN), name="h0")
    for t, x in tg.steps(rng.normal(size=(STEPS, INPUT))):
        h = cell(x, h, w, u, floor_at_7 if t == 7 else 1.0)
    return (h * h).sum().named("loss")


def show(debugger: tg.Debugger, commands: str) -> None:
    """One command after the other, with what it prints."""
    for command in commands.split(";"):
        print(f"   (tg) {command.strip()}")
        for line in debugger.run_script(command).splitlines():
            print(f"   {line}"[:148].rstrip())
    print()


def main() -> None:
    with np.errstate(invalid="ignore"), tg.record_lines():
        broken = run(floor_at_7=-9.0)
    print("1. The loss is not a number. Stop where that begins, and go back one operation, to see what it came from:\n")
    show(tg.Debugger(broken), "break nan; continue; list; back; p a[7]; p h[6]")

    print("2. The same, without a prompt: inside tg.detect_anomaly() the backward pass is an error that says it all.\n")
    try:
        with np.errstate(invalid="ignore"), tg.detect_anomaly():
            run(floor_at_7=-9.0).backward()
    except tg.AnomalyError as error:
        print("   " + str(error).replace("\n", "\n   ") + "\n")

    debugger = tg.Debugger(run(floor_at_7=1.0))
    print(
        "3. Mended. The backward pass, edge by edge: what is added to what, and who holds the gradient at each moment;"
    )
    print("   the shares of the frontier add up to 100% at every stop.\n")
    show(debugger, "goto backward; step; until h[9] and backward; watch grad W; continue; why W")

    print("4. Time runs both ways. n steps on and n steps back is where one was, to the last bit; and at the end the")
    print("   gradient is that of backward().\n")
    position, before = debugger.position, debugger.grad("W")
    debugger.step(40)
    debugger.back(40)
    after = debugger.grad("W")
    print(f"   40 on, 40 back: at event {debugger.position} again: {debugger.position == position};", end=" ")
    print(f"the same gradient so far: {before is not None and after is not None and bool((before == after).all())}")
    debugger.goto(-1)
    loss = debugger.outputs[0]
    whole = debugger.grad("W")
    w = next(node for node in debugger.timeline.order.values() if node.name == "W")
    print(f"   at the end: equal to tg.grad(loss, W): {whole is not None and bool((whole == tg.grad(loss, w)).all())}")


if __name__ == "__main__":
    main()
