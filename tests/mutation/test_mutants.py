"""Our own tests notice mistakes: every mutant of the rules, the sweep, the indexing and the cells is killed."""

import collections
import time

import pytest

from tests.engine import test_random_programs
from tests.engine.samples import samples_of
from tests.mutation.harness import applied, verdict
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.subjects import SUBJECTS, a_sample, equivalent, every_mutant
from tests.mutation.wrong_cells import wrong_cells
from tinygrad_rnn.engine import primitives as p

SURVIVED = (
    "these mutants were not noticed. Strengthen the tests, and if a mutant computes the same as what it was made from, "
    "list it in tests/mutation/equivalent.txt under the reason:\n"
)


def survivors_of(mutants: list[Mutant]) -> tuple[list[str], collections.Counter[str]]:
    found = {str(mutant): verdict(mutant, SUBJECTS[mutant.module].notice) for mutant in mutants}
    for module in {mutant.module for mutant in mutants}:
        nothing_is_noticed(module)  # so that no mutant has left anything behind that would kill all the others
    return [m for m, how in found.items() if how == "survived"], collections.Counter(found.values())


@pytest.mark.parametrize("module", SUBJECTS)
def test_without_a_mutant_nothing_is_noticed(module):
    """Else every mutant would be killed, by a check that fails anyway."""
    nothing_is_noticed(module)


def nothing_is_noticed(module):
    SUBJECTS[module].notice([p.lead] if module.endswith("primitives") else [])


def test_a_sample_of_the_mutants_is_killed():
    sample = a_sample(40)
    assert 25 <= len(sample) <= 60
    survivors, _ = survivors_of(sample)
    assert not survivors, SURVIVED + "\n".join(survivors)


def test_the_cells_that_people_get_wrong_are_noticed():
    survivors, _ = survivors_of(list(wrong_cells()))
    assert not survivors, SURVIVED + "\n".join(survivors)


@pytest.mark.full
@pytest.mark.parametrize("module", SUBJECTS)
def test_every_mutant_is_killed(module, capsys):
    start = time.perf_counter()
    mutants = [m for m in every_mutant() if m.module == module]
    tried = [m for m in mutants if str(m) not in equivalent()]
    survivors, how = survivors_of(tried)
    with capsys.disabled():
        print(
            f"\nrow 4: {module}: {len(tried) - len(survivors)} of {len(tried)} mutants killed, "
            f"{len(mutants) - len(tried)} equivalent ones listed, {time.perf_counter() - start:.0f} s\n  by "
            + ", ".join(f"{kind} {n}" for kind, n in how.most_common())
        )
    assert not survivors, SURVIVED + "\n".join(survivors)


@pytest.mark.full
def test_no_mutant_is_listed_as_equivalent_that_does_not_exist_or_is_killed():
    mutants = {str(m): m for m in every_mutant()}
    assert not equivalent().keys() - mutants.keys(), "remove these from tests/mutation/equivalent.txt"
    verdicts = {text: verdict(mutants[text], SUBJECTS[mutants[text].module].notice) for text in equivalent()}
    # Nobody noticed what only took too long, on a busy machine.
    killed = [text for text, how in verdicts.items() if how not in ("survived", TimeoutError.__name__)]
    assert not killed, "these are noticed: remove them from tests/mutation/equivalent.txt\n" + "\n".join(killed)


def test_there_are_many_mutants_of_each_subject_and_no_two_alike():
    counts = collections.Counter(mutant.module for mutant in every_mutant())
    assert counts.keys() == SUBJECTS.keys()
    assert all(count > 100 for count in counts.values())
    assert len({(mutant.module, str(mutant)) for mutant in every_mutant()}) == len(every_mutant())


def test_a_mutant_is_taken_out_again():
    x = samples_of("tanh")[3]
    before = x.f(*x.inputs).data
    wrong = next(
        m
        for m in mutants_of("tinygrad_rnn.engine.primitives")
        if str(m).startswith("tanh: ") and "np.sigmoid" not in m.after
    )
    with applied(wrong) as differing:
        assert differing == [p.tanh]
    assert verdict(wrong, lambda differing: None) == "survived"
    assert verdict(wrong, SUBJECTS[wrong.module].notice) != "survived"
    assert (x.f(*x.inputs).data == before).all()
    test_random_programs.compare(range(20))
