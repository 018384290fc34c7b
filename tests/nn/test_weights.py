"""Weights on disk: what is saved is loaded to the last bit; a broken file says so; nothing is half written."""

import sys

import numpy as np
import pytest
import safetensors.numpy

import tinygrad_rnn as tg
from tinygrad_rnn import nn

ENDINGS = (".safetensors", ".npz")


def network(seed=0):
    return nn.LSTM(3, 4, num_layers=2, bidirectional=True, rng=seed)


def trained(optimizer, model, steps=3):
    for t in range(steps):
        optimizer.zero_grad()
        (model(np.full((2, 3), 0.1 * t))[0] ** 2).sum().backward()
        optimizer.step()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_module_is_the_same_to_the_last_bit_after_saving_and_loading(tmp_path, ending, dtype):
    model, other = (nn.GRU(3, 4, dtype=dtype, rng=seed) for seed in (0, 1))
    path = nn.save(model, tmp_path / f"model{ending}")
    other.load_state_dict(nn.load(path))
    for (name, one), (_, two) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        assert one.data.dtype == two.data.dtype == dtype
        assert one.data.tobytes() == two.data.tobytes(), name


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("make", [lambda p: nn.Adam(p, lr=0.01), lambda p: nn.SGD(p, lr=0.01, momentum=0.9), nn.SGD])
def test_training_goes_on_from_files_as_if_it_had_not_been_interrupted(tmp_path, ending, make):
    through, first = network(), network()
    optimizer = make(through.parameters())
    trained(optimizer, through)
    trained(optimizer, through)
    optimizer = make(first.parameters())
    trained(optimizer, first)
    files = [nn.save(what, tmp_path / f"{name}{ending}") for name, what in (("model", first), ("memory", optimizer))]
    second = network(seed=5)
    again = make(second.parameters())
    second.load_state_dict(nn.load(files[0]))
    again.load_state_dict(nn.load(files[1]))
    trained(again, second)
    for one, two in zip(through.parameters(), second.parameters(), strict=True):
        assert one.data.tobytes() == two.data.tobytes()


def test_names_that_are_no_keywords_and_arrays_of_any_shape_are_kept(tmp_path):
    arrays = {"file": np.zeros(()), "a/b.c": np.ones((0, 3)), "ü": np.arange(3), "T": np.asfortranarray(np.eye(3)[:2])}
    for ending in ENDINGS:
        found = nn.load(nn.save(arrays, tmp_path / f"x{ending}"))
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
            np.testing.assert_array_equal(found[name], array)


def test_a_file_that_other_libraries_wrote_is_read_and_the_other_way_round(tmp_path):
    state = network().state_dict()
    safetensors.numpy.save_file(state, tmp_path / "x.safetensors")
    np.savez(tmp_path / "x.npz", **state)
    for ending in ENDINGS:
        found = nn.load(tmp_path / f"x{ending}")
        assert all(np.array_equal(found[name], state[name]) for name in state)
    nn.save(network(), tmp_path / "y.npz")
    nn.save(network(), tmp_path / "y.safetensors")
    with np.load(tmp_path / "y.npz") as archive:
        assert set(archive) == set(state)
    assert safetensors.numpy.load_file(tmp_path / "y.safetensors").keys() == state.keys()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_is_cut_off_or_something_else_says_so(tmp_path, ending):
    path = nn.save(network(), tmp_path / f"x{ending}")
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"hello"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no complete"):
            nn.load(path)


def test_objects_are_neither_saved_nor_loaded(tmp_path):
    with pytest.raises(TypeError, match="x does not hold real numbers, but object"):
        nn.save({"x": np.array([{}])}, tmp_path / "x.npz")
    np.savez(tmp_path / "evil.npz", x=np.array([{}]))
    with pytest.raises(ValueError, match=r"is no complete \.npz file of arrays of numbers"):
        nn.load(tmp_path / "evil.npz")


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_no_real_number_or_has_no_names_is_refused_before_anything_is_written(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    for wrong in ("text", None, 1j):
        with pytest.raises(TypeError, match="a does not hold real numbers"):
            nn.save({"a": wrong}, path)
    for wrong in (tg.Tensor([1.0]), [np.ones(2)]):
        with pytest.raises(TypeError, match="saved are a module, an optimiser, or a dict of arrays"):
            nn.save(wrong, path)
    assert not list(tmp_path.iterdir())


def test_a_dtype_that_numpy_does_not_have_is_named(tmp_path):
    head = b'{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    (tmp_path / "x.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + b"\0\0")
    with pytest.raises(ValueError, match=r"holds BF16, which NumPy does not know: save it as float32"):
        nn.load(tmp_path / "x.safetensors")


def test_a_shared_parameter_may_be_given_once_as_other_libraries_save_it():
    class Tied(nn.Module):
        def __init__(self, seed):
            self.embedding = nn.Embedding(5, 3, rng=seed)
            self.out = nn.Linear(3, 5, rng=seed)
            self.out.weight = self.embedding.weight

    one, other = Tied(0), Tied(1)
    state = one.state_dict()
    del state["out.weight"]
    assert other.load_state_dict(state).missing_keys == []
    assert np.array_equal(other.out.weight.data, one.out.weight.data)
    del state["embedding.weight"]
    with pytest.raises(ValueError, match=r"missing: embedding\.weight(.|\n)*missing: out\.weight"):
        other.load_state_dict(state)


def test_where_and_what_is_said_of_a_file_that_cannot_be_written_or_read(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"end in \.safetensors or \.npz; got 'model\.pt'"):
        nn.save(network(), "model.pt")
    with pytest.raises(FileNotFoundError, match="make it first"):
        nn.save(network(), tmp_path / "nowhere" / "x.npz")
    with pytest.raises(FileNotFoundError, match=r"cannot load .*x\.npz"):
        nn.load(tmp_path / "x.npz")
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for action in (lambda path: nn.save(network(), path), nn.load):
        (tmp_path / "x.safetensors").write_bytes(b"")
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'tinygrad_rnn\[weights\]'"):
            action(tmp_path / "x.safetensors")


def test_a_failure_keeps_the_file_that_was_there(tmp_path, monkeypatch):
    path = nn.save(network(), tmp_path / "x.npz")
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        nn.save(network(seed=1), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_optimiser_refuses_a_state_that_does_not_fit_and_lists_all_of_it():
    w = nn.Parameter([1.0, 2.0], name="w")
    adam = nn.Adam([w])
    tg.Tensor.backward((w * w).sum())
    adam.step()
    before = adam.state_dict()
    wrong = {"0.t": 1, "0.m": np.zeros(3), "1.m": np.zeros(2), "0.v": np.zeros(2), "m": 0, "0.s": np.array(["a", "b"])}
    with pytest.raises(ValueError, match="left as it was") as refused:
        adam.load_state_dict(wrong)
    for said in ("0.m: expected what fits w of shape (2,), got shape (3,)", "'1.m'", "'0.v'", "'m'", "0.s: expected"):
        assert said in str(refused.value)
    with pytest.raises(ValueError, match=r"missing: 0\.m\n +missing: 0\.s"):
        adam.load_state_dict({"0.t": 1})
    with pytest.raises(ValueError, match=r"0\.t: expected (.|\n)*0\.m: expected"):
        adam.load_state_dict({"0.t": np.ones(2), "0.m": 0.5, "0.s": np.ones(2)})
    with pytest.raises(TypeError, match=r"such as nn\.load gives, not 'adam\.npz'"):
        adam.load_state_dict("adam.npz")
    after = adam.state_dict()
    assert before.keys() == after.keys() == {"0.t", "0.m", "0.s"}
    assert all(np.array_equal(before[name], after[name]) for name in before)
