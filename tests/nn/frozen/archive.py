"""How frozen numbers are stored: many small named arrays in one .npz that holds no pickled objects.

A file has two members: `numbers`, every array of every case flattened one behind the other in float64, and `index`,
UTF-8 JSON that says for each case its name, kind, configuration and where each of its arrays begins and how it is
shaped. (One member per array would be mostly headers: these arrays have a dozen elements each.)
"""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


class Case:
    """One configuration and its numbers: `kind` such as "LSTMCell", `config` plain data, `arrays` by role."""

    def __init__(self, name, kind, config, arrays):
        self.name, self.kind, self.config, self.arrays = name, kind, config, arrays

    def __getitem__(self, role):
        return self.arrays[role]

    def group(self, prefix):
        """The arrays whose role begins with `prefix/`, by the rest of the role."""
        return {role.removeprefix(f"{prefix}/"): a for role, a in self.arrays.items() if role.startswith(f"{prefix}/")}

    def __repr__(self):
        return self.name


def load(file):
    """The cases in a file of this folder, in the order in which they were made."""
    with np.load(HERE / file, allow_pickle=False) as members:
        numbers, index = members["numbers"], json.loads(members["index"].tobytes())
    cases = []
    for entry in index:
        places = entry["arrays"].items()
        arrays = {role: numbers[at : at + int(np.prod(shape))].reshape(shape) for role, (at, shape) in places}
        cases.append(Case(entry["name"], entry["kind"], entry["config"], arrays))
    return cases


def save(file, cases):
    numbers, index, at = [], [], 0
    for case in cases:
        places = {}
        for role, array in case.arrays.items():
            places[role] = (at, list(array.shape))
            numbers.append(np.asarray(array, dtype=np.float64).ravel())
            at += array.size
        index.append({"name": case.name, "kind": case.kind, "config": case.config, "arrays": places})
    text = json.dumps(index, separators=(",", ":")).encode()
    np.savez_compressed(HERE / file, numbers=np.concatenate(numbers), index=np.frombuffer(text, dtype=np.uint8))
