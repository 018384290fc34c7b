"""One contestant on one problem, in a process of its own; it speaks to the parent in lines of JSON.

Called as `python -m tests.benchmarks.peer MODULE frozen|collecting T BATCH IN HIDDEN`. It first prints

    {"loss": number, "gradients": {name: nested lists}, "operations": on the tape, or null}

and then answers each line with a number of repetitions by the seconds that one training step took, on average.

frozen: what exists after set-up is hidden from Python's cyclic garbage collector by `gc.freeze()`. The collector itself
stays on in both cases.
"""

import gc
import importlib
import json
import os
import sys
import time

import numpy as np

from tests.benchmarks.problem import make_problem


def main(module_name, collector, *sizes):
    contestant = importlib.import_module(f"tests.benchmarks.{module_name}")
    training_step = contestant.prepare(make_problem(*map(int, sizes)))
    say(results(training_step, getattr(contestant, "count_operations", lambda loss: None)))
    gc.collect()
    if collector == "frozen":
        gc.freeze()
    for line in sys.stdin:
        say(seconds_per_call(training_step, json.loads(line)))


def results(training_step, count_operations):
    loss, gradients = training_step()
    return {
        "loss": loss.item(),
        "gradients": {name: np.asarray(gradient).tolist() for name, gradient in gradients.items()},
        "operations": count_operations(loss),
    }


def seconds_per_call(function, repetitions):
    # With one thread, CPU time is what the clock shows on an idle machine, and a busy one does not change it much.
    clock = time.process_time if os.environ["OMP_NUM_THREADS"] == "1" else time.perf_counter
    start = clock()
    for _ in range(repetitions):
        function()
    return (clock() - start) / repetitions


def say(answer):
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
