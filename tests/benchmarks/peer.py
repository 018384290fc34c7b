"""One contestant in a process of its own; it answers the parent's requests, one line of JSON each way.

    ["prepare", T, batch, in, hidden]  ->  {"loss": ..., "gradients": {name: nested lists}, "operations": n or null}
    ["time", repetitions]              ->  seconds for one training step, the mean over the repetitions

Called as `python -m tests.benchmarks.peer MODULE frozen|collecting`. Frozen: what exists after set-up is hidden from
Python's cyclic garbage collector by `gc.freeze()`. The collector itself stays on in both cases.
"""

import gc
import importlib
import json
import sys
import time

import numpy as np

from tests.benchmarks.problem import make_problem


def main(module_name, collector):
    contestant = importlib.import_module(f"tests.benchmarks.{module_name}")
    count_operations = getattr(contestant, "count_operations", lambda loss: None)
    training_step = None
    for line in sys.stdin:
        request, *arguments = json.loads(line)
        if request == "prepare":
            training_step = contestant.prepare(make_problem(*arguments))
            loss, gradients = training_step()
            reply = {
                "loss": loss.item(),
                "gradients": {name: np.asarray(gradient).tolist() for name, gradient in gradients.items()},
                "operations": count_operations(loss),
            }
            del loss, gradients
            gc.collect()
            if collector == "frozen":
                gc.freeze()
        else:
            reply = seconds_per_call(training_step, *arguments)
        print(json.dumps(reply), flush=True)


def seconds_per_call(function, repetitions):
    start = time.perf_counter()
    for _ in range(repetitions):
        function()
    return (time.perf_counter() - start) / repetitions


if __name__ == "__main__":
    main(*sys.argv[1:])
