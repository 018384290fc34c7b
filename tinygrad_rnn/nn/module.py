"""Module and Parameter: a network is a tree of attributes, and what trains in it is found by walking the tree."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import starmap
from typing import Any, NamedTuple

import numpy as np

from ..engine.annotate import scope
from ..engine.arguments import laid_out_like
from ..engine.tensor import Tensor

Array = np.ndarray[Any, np.dtype[Any]]
Setting = tuple[object, str, Any]


class Parameter(Tensor):
    """A leaf that training changes: a Tensor that requires a gradient and that its Module finds by itself.

    Unless it has a name, it gets that of the attribute it becomes, for messages and pictures.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(data, requires_grad=requires_grad, name=name, dtype=dtype)


class Keys(NamedTuple):
    """What a `load_state_dict` that is not strict passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """A part of a network: subclass it, make Parameters and Modules attributes of it, and write `forward`.

    Calling the module calls `forward` in the scope under which its parent knows it, so that the scope of an operation
    and the name of a parameter agree: what `encoder.lstm.weight_ih_l0` does happens in `encoder/lstm`. A module
    without a parent opens no scope. Where a module has several parents, the first name stays.

    Nothing needs to be set up first: there is no ``super().__init__()`` to forget.
    """

    _scope = ""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; to be written by every subclass that is called."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; write def forward(self, x): ... in the class")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._scope:
            return self.forward(*args, **kwargs)
        with scope(self._scope):
            return self.forward(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Module):
            value._adopt(name)
        elif isinstance(value, Parameter) and value.name is None:
            value.named(name)
        elif isinstance(vars(self).get(name), Parameter) and not (value is None or isinstance(value, Parameter)):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter, and {_kind(value)} in its place would not be trained: "
                f"give it new values by .{name}.data = array, or put an nn.Parameter there"
            )
        object.__setattr__(self, name, value)

    def _adopt(self, name: str) -> None:
        if not self._scope:
            object.__setattr__(self, "_scope", name)

    def _attributes(self) -> Iterable[tuple[str, Any]]:
        return vars(self).items()

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Every module of the tree with its name, itself first as "", a shared one once for each of its names.

        Raises TypeError where a plain list, tuple or dict holds modules or parameters, since training would miss them.
        """
        waiting: list[tuple[str, Module, tuple[Module, ...]]] = [("", self, ())]
        while waiting:
            name, module, above = waiting.pop()
            yield name, module
            above = (*above, module)
            children = []
            for attribute, value in module._attributes():
                _refuse_hidden(module, attribute, value)
                if isinstance(value, Module) and not any(value is a for a in above):  # a child may know its parent
                    children.append((_joined(name, attribute), value, above))
            waiting.extend(reversed(children))

    def _all_names(self) -> Iterator[tuple[str, Parameter]]:
        for name, module in self.named_modules():
            for attribute, value in module._attributes():
                if isinstance(value, Parameter):
                    yield _joined(name, attribute), value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter with its name, such as "encoder.weight_ih_l0"; a shared one once, by its first name."""
        seen: set[int] = set()
        for name, parameter in self._all_names():
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter

    def parameters(self) -> Iterator[Parameter]:
        """Every parameter, once: what an optimiser wants."""
        return (parameter for _, parameter in self.named_parameters())

    def zero_grad(self) -> None:
        """Sets the gradient of every parameter to None."""
        for parameter in self.parameters():
            parameter.grad = None

    def state_dict(self) -> dict[str, Array]:
        """A copy of every parameter by name; a shared one under each of its names, as in PyTorch."""
        return {name: np.array(parameter.data, order="C") for name, parameter in self._all_names()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> Keys:
        """Gives the parameters the values in `state`, rounded to each parameter's own dtype.

        strict: every parameter must be in `state`, and nothing else. With strict=False names that are on one side only
            are passed over and returned; arrays that do not fit are refused all the same.
        Raises ValueError with a list of *all* mismatches: missing or unexpected names, wrong shapes, values that are
        not real numbers or too large for the dtype, two values for one shared parameter. Then nothing has changed.
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                f"load_state_dict takes a dict of arrays by name, such as model.state_dict() gives, not {_kind(state)}"
            )
        own = dict(self._all_names())
        given = {id(own[name]) for name in state if name in own}
        missing = [name for name, p in own.items() if name not in state and id(p) not in given]  # of a shared one, one
        unexpected = [name for name in state if name not in own]
        problems = [f"missing: {name}, {_described(own[name].data)}" for name in missing] if strict else []
        problems += [f"unexpected: {name!r}" for name in unexpected] if strict else []
        fitting: dict[int, tuple[str, Parameter, Array]] = {}
        for name, parameter in own.items():
            if name not in state:
                continue
            array = _fitted(state[name], parameter)
            first, _, already = fitting.get(id(parameter), (name, parameter, array))
            if isinstance(array, str):
                problems.append(f"{name}: {array}")
            elif not np.array_equal(array, already, equal_nan=True):
                problems.append(f"{name}: is the same parameter as {first}, and the two values differ")
            else:
                fitting[id(parameter)] = (first, parameter, array)
        if problems:
            raise ValueError(
                f"this state does not fit {type(self).__name__}, which is left as it was. {len(problems)} "
                f"mismatch{'es' if len(problems) > 1 else ''}:\n  " + "\n  ".join(problems)
            )
        commit(setting for _, p, array in fitting.values() for setting in replacement(p, array))
        return Keys(missing, [str(name) for name in unexpected])

    def extra_repr(self) -> str:
        """What stands between the brackets when the module is printed, such as its sizes."""
        return ""

    def __repr__(self) -> str:
        children = [(name, value) for name, value in self._attributes() if isinstance(value, Module)]
        lines = [f"({name}): {value!r}".replace("\n", "\n  ") for name, value in children]
        inside = [self.extra_repr()] if self.extra_repr() else []
        if not lines:
            return f"{type(self).__name__}({''.join(inside)})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(inside + lines) + "\n)"


class ModuleList(Module):
    """A list of modules that its parent knows of: ``self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 1)])``.

    The names of what is inside are `layers.0.weight`, the scopes `layers/0`.
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._items: list[Module] = []
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> ModuleList:
        """Adds a module at the end. Raises TypeError for anything that is not a Module."""
        if not isinstance(module, Module):
            raise TypeError(f"a ModuleList holds modules, not {_kind(module)}")
        self._items.append(module)
        if self._scope:
            module._adopt(f"{self._scope}/{len(self._items) - 1}")
        return self

    def _adopt(self, name: str) -> None:
        super()._adopt(name)
        for k, module in enumerate(self._items):
            module._adopt(f"{self._scope}/{k}")

    def _attributes(self) -> Iterable[tuple[str, Any]]:
        others = [(name, value) for name, value in vars(self).items() if name != "_items"]
        return [*((str(k), module) for k, module in enumerate(self._items)), *others]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._items)

    def __getitem__(self, k: int) -> Module:
        return self._items[k]


def replacement(parameter: Tensor, array: Any) -> list[Setting]:
    """What has to be set for a leaf to have new data. A new index too: a tape that used the old data then says so."""
    new = Tensor(array, dtype=parameter.dtype)
    return [(parameter, "index", new.index), (parameter, "value", laid_out_like(parameter.value, new.value))]


def commit(settings: Iterable[Setting]) -> None:
    """Sets attributes, each given as (object, name, value), in one C call: no interrupt comes between two of them."""
    deque(starmap(setattr, list(settings)), maxlen=0)


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _kind(value: object) -> str:
    return f"an object of type {type(value).__name__}"


def _described(array: Array) -> str:
    return f"shape {array.shape} {array.dtype}"


_CONTAINERS = (list, tuple, dict, set, frozenset)


def _refuse_hidden(module: Module, attribute: str, value: Any) -> None:
    inside: list[Any] = [value] if isinstance(value, _CONTAINERS) else []
    while inside:
        item = inside.pop()
        if isinstance(item, _CONTAINERS):
            inside += item.values() if isinstance(item, dict) else item
        elif isinstance(item, Module | Parameter):
            raise TypeError(
                f"{type(module).__name__}.{attribute} is a plain {type(value).__name__} with a {type(item).__name__} "
                "in it, which training and saving would miss: put modules into nn.ModuleList([...]), and make every "
                "Parameter an attribute of its own"
            )


def _fitted(value: Any, parameter: Parameter) -> Array | str:
    """`value` as the new data of `parameter`, or what is wrong with it."""
    try:
        array = np.asarray(value.data if isinstance(value, Tensor) else value)
    except (ValueError, TypeError) as error:
        return f"expected {_described(parameter.data)}, got {_kind(value)} that is no array ({error})"
    if array.dtype.kind != "f":
        return f"expected {_described(parameter.data)}, got {_described(array)}, which does not hold real numbers"
    if array.shape != parameter.shape:
        return f"expected {_described(parameter.data)}, got {_described(array)}"
    with np.errstate(over="ignore"):
        rounded = array.astype(parameter.dtype)
    if not np.array_equal(np.isfinite(rounded), np.isfinite(array)):
        return f"has values too large for {parameter.dtype}"
    return rounded
