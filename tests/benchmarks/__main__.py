"""`make bench`: the time of one LSTM training step, as a ratio to NumPy by hand and to PyTorch eager.

Every contestant runs each problem in a fresh process of its own: thread pools disturb each other, and so does the heap
that an earlier problem leaves behind. They are asked in turn for one batch of repetitions each, so that whatever else
the machine does meets all of them; a ratio is taken within one round.

All use the same number of threads: OMP_NUM_THREADS if it is set, else one. With one, CPU time is measured. With more
it is the time on the clock, and on a busy machine threads that wait for each other can take a hundred times as long.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

ROWS = {  # (T, batch, in, hidden) -> the largest ratio to NumPy by hand that we want
    (50, 1, 8, 16): 2.7,
    (100, 16, 32, 64): 1.7,
    (100, 32, 64, 128): 1.2,
    (1000, 1, 8, 32): 3.5,
}
TARGET_TORCH = 0.75
ROUNDS = 15
SECONDS_PER_BATCH = 0.15
AGREEMENT = 1e-4  # in float32, relative to the largest element
NOISY = 1.5  # where the largest ratio is so many times the smallest, the machine was busy: no verdict
THREADS = os.environ.get("OMP_NUM_THREADS", "1")
CLOCK = "CPU time" if THREADS == "1" else "wall-clock time"
OURS, COLLECTING, BY_HAND, TORCH = "tinygrad_rnn", "tinygrad_rnn (collecting)", "NumPy by hand", "PyTorch eager"
LINE = "{:>4} {:>5} {:>3} {:>6}  {:>7} {:>6} {:>5}  {:<26}  {:<20}  {:<27}  {}"
TITLES = ("T", "batch", "in", "hidden", "us/step", "us/op", "ops")
RATIOS = ("ours / NumPy by hand", "same, not frozen", "ours / PyTorch eager", "PyTorch / NumPy")


def main():
    torch_python, torch_note = find_torch()
    print("One LSTM training step in float32: T steps forward, the mean of h**2, backward to all four parameters.")
    print(f"NumPy {np.__version__}; {torch_note}; {THREADS} thread(s) each (OMP_NUM_THREADS); {CLOCK}.")
    if kernel := os.environ.get("OPENBLAS_CORETYPE"):
        print(f"NOTE: OPENBLAS_CORETYPE={kernel} is set: it may slow NumPy's products down, not PyTorch's.")
    print("us: microseconds of ours for each of the T steps, and for each of all the operations recorded.")
    print(f"Ratios: median (smallest..largest) of {ROUNDS} rounds. gc.freeze() after set-up, but where it says not.\n")
    print(LINE.format(*TITLES, *RATIOS))
    for sizes, target in ROWS.items():
        times, operations = measure(sizes, torch_python)
        microseconds = 1e6 * statistics.median(times[OURS])
        ratios = (
            ratio(times, OURS, BY_HAND, target),
            ratio(times, COLLECTING, BY_HAND),
            ratio(times, OURS, TORCH, TARGET_TORCH),
            ratio(times, TORCH, BY_HAND),
        )
        speed = f"{microseconds / sizes[0]:.1f}", f"{microseconds / operations:.2f}", operations
        print(LINE.format(*sizes, *speed, *ratios), flush=True)


def find_torch():
    """-> an interpreter that can import PyTorch, or None; and a note that says which version, or why there is none."""
    python = os.environ.get("TINYGRAD_RNN_TORCH_PYTHON", sys.executable)
    try:
        command = [python, "-c", "import torch; print(torch.__version__)"]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
        return None, f"PyTorch SKIPPED ({reason}; TINYGRAD_RNN_TORCH_PYTHON may name an interpreter that has it)"
    return python, f"PyTorch {found.stdout.strip()}"


def measure(sizes, torch_python):
    """-> for every contestant its seconds for a training step, one number a round; and the length of our tape."""
    peers = {
        BY_HAND: Peer(sys.executable, "numpy_bptt", "frozen", sizes),
        OURS: Peer(sys.executable, "tinygrad_lstm", "frozen", sizes),
        COLLECTING: Peer(sys.executable, "tinygrad_lstm", "collecting", sizes),
    }
    if torch_python is not None:
        peers[TORCH] = Peer(torch_python, "torch_eager", "frozen", sizes)
    results = {name: peer.hear() for name, peer in peers.items()}
    check_agreement(results)
    repetitions = {name: max(1, round(SECONDS_PER_BATCH / peer.time(1))) for name, peer in peers.items()}
    times = {name: [] for name in peers}
    for _ in range(ROUNDS):
        for name, peer in peers.items():
            times[name].append(peer.time(repetitions[name]))
    for peer in peers.values():
        peer.close()
    return times, results[OURS]["operations"]


class Peer:
    """A contestant in its own process; see peer.py."""

    def __init__(self, python, module, collector, sizes):
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), THREADS)
        self.process = subprocess.Popen(
            [python, "-m", "tests.benchmarks.peer", module, collector, *map(str, sizes)],
            cwd=Path(__file__).parents[2],
            env=os.environ | threads,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hear(self):
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"a contestant ended before it answered: {' '.join(self.process.args)}")
        return json.loads(answer)

    def time(self, repetitions):
        print(repetitions, file=self.process.stdin, flush=True)
        return self.hear()

    def close(self):
        self.process.communicate()


def check_agreement(results):
    """Ends the program unless all contestants compute the same loss and the same gradients."""
    expected = numbers(results[BY_HAND])
    for peer, result in results.items():
        for what, found in numbers(result).items():
            error = np.max(np.abs(found - expected[what])) / np.max(np.abs(expected[what]))
            if not error <= AGREEMENT:
                raise SystemExit(f"no ratio: {peer} and {BY_HAND} differ by {error:.1e} (relative) in {what}")


def numbers(result):
    return {name: np.array(values) for name, values in {"loss": result["loss"], **result["gradients"]}.items()}


def ratio(times, name, other, target=None):
    """-> "median (smallest..largest)" of name / other, and with a target how the median compares with it."""
    if other not in times or name not in times:
        return "skipped"
    ratios = [a / b for a, b in zip(times[name], times[other], strict=True)]
    middle = statistics.median(ratios)
    text = f"{middle:.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
    if target is None:
        return text
    if max(ratios) > NOISY * min(ratios):
        return f"{text} NOISY"
    return f"{text} {'<=' if middle <= target else 'ABOVE'} {target}"


if __name__ == "__main__":
    main()
