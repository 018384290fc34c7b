"""`make bench`: the time of one LSTM training step, as a ratio to NumPy by hand and to PyTorch eager.

Every contestant runs in a process of its own, since their thread pools disturb each other, and all use the same number
of threads. They are asked in turn for one batch of repetitions each, so that whatever else the machine does meets
all of them; a ratio is taken within one round, and printed as median (smallest..largest) of the rounds.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

ROWS = {  # (T, batch, in, hidden) -> the ratio to NumPy by hand that we want to stay below
    (50, 1, 8, 16): 2.7,
    (100, 16, 32, 64): 1.7,
    (100, 32, 64, 128): 1.2,
    (1000, 1, 8, 32): 3.5,
}
TARGET_TORCH = 0.75
ROUNDS = 15
SECONDS_PER_BATCH = 0.2
AGREEMENT = 1e-4  # relative to the largest element, in float32
THREADS = os.environ.get("OMP_NUM_THREADS", "1")
OURS, COLLECTING, BY_HAND, TORCH = "tinygrad_rnn", "tinygrad_rnn (collecting)", "NumPy by hand", "PyTorch eager"


class Peer:
    """A contestant in its own process, spoken to in lines of JSON (see peer.py)."""

    def __init__(self, python, module, collector):
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), THREADS)
        self.process = subprocess.Popen(
            [python, "-m", "tests.benchmarks.peer", module, collector],
            cwd=Path(__file__).parents[2],
            env=os.environ | threads,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, *request):
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{' '.join(self.process.args)} ended while it was asked for {request}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def torch_python():
    """-> an interpreter that can import PyTorch, or None; and a line that says which, or why there is none."""
    python = os.environ.get("TINYGRAD_RNN_TORCH_PYTHON", sys.executable)
    asked = subprocess.run([python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True)
    if asked.returncode == 0:
        return python, f"PyTorch {asked.stdout.strip()}"
    reason = (asked.stderr.strip().splitlines() or ["no message"])[-1]
    return None, f"PyTorch SKIPPED ({reason}; TINYGRAD_RNN_TORCH_PYTHON may name an interpreter that has it)"


def check_agreement(results):
    """Refuse to time contestants that do not compute the same loss and the same gradients."""
    expected = results[BY_HAND]
    for peer, result in results.items():
        for what in ("loss", *expected["gradients"]):
            a, b = (np.array(r["loss"] if what == "loss" else r["gradients"][what]) for r in (result, expected))
            error = np.max(np.abs(a - b)) / np.max(np.abs(b))
            if not error <= AGREEMENT:
                raise SystemExit(f"no ratio: {peer} and {BY_HAND} differ by {error:.1e} (relative) in {what}")


def measure(peers, sizes):
    """-> for every peer its seconds per training step, one number per round; and the operations on our tape."""
    results = {name: peer.ask("prepare", *sizes) for name, peer in peers.items()}
    check_agreement(results)
    repetitions = {name: max(1, round(SECONDS_PER_BATCH / peer.ask("time", 1))) for name, peer in peers.items()}
    times = {name: [] for name in peers}
    for _ in range(ROUNDS):
        for name, peer in peers.items():
            times[name].append(peer.ask("time", repetitions[name]))
    return times, results[OURS]["operations"]


def ratio(times, name, other, target=None):
    """-> "median (smallest..largest)", and with a target whether the median keeps below it."""
    if other not in times:
        return "not measured"
    ratios = [a / b for a, b in zip(times[name], times[other], strict=True)]
    middle = statistics.median(ratios)
    verdict = "" if target is None else f" {'<=' if middle <= target else 'ABOVE'} {target}"
    return f"{middle:.2f} ({min(ratios):.2f}..{max(ratios):.2f}){verdict}"


def main():
    python, torch_line = torch_python()
    peers = {
        BY_HAND: Peer(sys.executable, "numpy_bptt", "frozen"),
        OURS: Peer(sys.executable, "tinygrad_lstm", "frozen"),
        COLLECTING: Peer(sys.executable, "tinygrad_lstm", "collecting"),
    }
    if python is not None:
        peers[TORCH] = Peer(python, "torch_eager", "frozen")

    print("One LSTM training step, float32: T steps forward, mean of h**2 over all steps, backward to all parameters.")
    print(f"NumPy {np.__version__}; {torch_line}; {THREADS} thread(s), set by OMP_NUM_THREADS.")
    print(f"Ratios: median (smallest..largest) of {ROUNDS} rounds; us: per step of time, and per operation recorded.\n")
    line = "{:>4} {:>5} {:>3} {:>6}  {:>7} {:>7} {:>6}  {:<27} {:<25} {:<27} {:<18}"
    titles = ("ours/NumPy by hand", "with gc.freeze() not called", "ours/PyTorch eager", "PyTorch/NumPy")
    print(line.format("T", "batch", "in", "hidden", "us/step", "us/op", "ops", *titles))
    for sizes, target in ROWS.items():
        times, operations = measure(peers, sizes)
        microseconds = 1e6 * statistics.median(times[OURS])
        print(
            line.format(
                *sizes,
                f"{microseconds / sizes[0]:.1f}",
                f"{microseconds / operations:.2f}",
                operations,
                ratio(times, OURS, BY_HAND, target),
                ratio(times, COLLECTING, BY_HAND),
                ratio(times, OURS, TORCH, TARGET_TORCH),
                ratio(times, TORCH, BY_HAND),
            ),
            flush=True,
        )
    for peer in peers.values():
        peer.close()


if __name__ == "__main__":
    main()
