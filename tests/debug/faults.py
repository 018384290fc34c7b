"""Programs in which one operation makes a NaN or an Inf, on the line that says BLAME; and clean ones, with masks."""

import inspect
from typing import NamedTuple

import numpy as np

import tinygrad_rnn as tg

FINE = np.array([0.7, 1.1, 0.9])
INF = np.inf


class Fault(NamedTuple):
    function: object
    operation: str | None
    direction: str

    @property
    def line(self):
        lines, first = inspect.getsourcelines(self.function)
        return first + next(k for k, line in enumerate(lines) if "# BLAME" in line)


FAULTS = []


def fault(operation, direction="forward"):
    def note(function):
        FAULTS.append(Fault(function, operation, direction))
        return function

    return note


# x is a tensor of three positive numbers near 1. `bad` says whether this is where it goes wrong.


@fault("log")
def log_of_a_negative(x, bad):
    y = x - (10.0 if bad else 0.1)
    return tg.log(y)  # BLAME


@fault("log")
def log_of_zero(x, bad):
    y = x * (0.0 if bad else 1.0)
    z = y.log()  # BLAME
    return z * 0.5


@fault("divide")
def one_over_zero(x, bad):
    d = x - x if bad else x
    return 1.0 / d  # BLAME


@fault("divide")
def zero_over_zero(x, bad):
    d = x * 0.0 if bad else x
    return d / d  # BLAME


@fault("exp")
def overflow_of_exp(x, bad):
    y = tg.exp(x * (2000.0 if bad else 1.0))  # BLAME
    return y / (1.0 + y)


@fault("exp")
def a_softmax_by_hand(x, bad):
    e = (x * (900.0 if bad else 1.0)).exp()  # BLAME
    return e / e.sum()


@fault("sqrt")
def root_of_a_negative(x, bad):
    return np.sqrt(x - (5.0 if bad else 0.1))  # BLAME


@fault("power")
def power_of_a_negative(x, bad):
    return (x - (5.0 if bad else 0.1)) ** 1.5  # BLAME


@fault("power")
def negative_power_of_zero(x, bad):
    return (x * (0.0 if bad else 1.0)) ** -1.0  # BLAME


@fault("multiply")
def overflow_of_a_product(x, bad):
    big = x * (1e200 if bad else 1.0)
    return big * big  # BLAME


@fault("square")
def overflow_of_a_square(x, bad):
    return np.square(x * (1e300 if bad else 1.0))  # BLAME


@fault("sum")
def overflow_of_a_sum(x, bad):
    big = x * (1.5e308 if bad else 1.0)
    return big.sum()  # BLAME


@fault("matmul")
def overflow_of_a_product_of_matrices(x, bad):
    m = np.full((3, 3), 1e307 if bad else 1.0)
    return m @ (x * 50.0)  # BLAME


@fault("softmax")
def all_is_masked(x, bad):
    mask = np.full(3, -INF) if bad else np.array([0.0, -INF, 0.0])
    scores = x + mask
    return scores.softmax()  # BLAME


@fault("multiply")
def a_mask_that_is_multiplied(x, bad):
    mask = np.array([0.0, -INF, 0.0]) if bad else np.ones(3)
    kept = x * np.array([1.0, 0.0, 1.0])
    return kept * mask  # BLAME


@fault("subtract")
def a_mask_taken_from_a_mask(x, bad):
    masked = x + np.array([0.0, -INF if bad else 1.0, 0.0])
    return masked - masked  # BLAME


@fault("log1p")
def log_of_one_minus_one(x, bad):
    return np.log1p(-x / x if bad else x)  # BLAME


@fault("expm1")
def overflow_of_expm1(x, bad):
    return np.expm1(x * (1e4 if bad else 1.0))  # BLAME


@fault("cumsum")
def overflow_of_running_sums(x, bad):
    return np.cumsum(x * (1.2e308 if bad else 1.0))  # BLAME


@fault("divide")
def among_constants(x, bad):
    data = tg.Tensor([1.0, 2.0, 3.0])
    spread = data - data if bad else data
    scaled = data / spread  # BLAME
    return x * scaled


@fault("sqrt", "backward")
def root_of_zero(x, bad):
    y = x * (0.0 if bad else 1.0)
    return np.sqrt(y)  # BLAME


@fault("sqrt", "backward")
def a_norm_that_is_zero(x, bad):
    d = x - x if bad else x
    return (d * d).sum().sqrt()  # BLAME


@fault("power", "backward")
def root_of_zero_as_a_power(x, bad):
    return (x * (0.0 if bad else 1.0)) ** 0.5  # BLAME


@fault("sqrt", "backward")
def the_branch_not_taken(x, bad):
    y = x * (0.0 if bad else 1.0)
    root = y.sqrt()  # BLAME
    return tg.where(y > 0, root, 0.0)


@fault("log")
def the_logarithm_not_taken(x, bad):
    y = x * (0.0 if bad else 1.0)
    logarithm = y.log()  # BLAME
    return tg.where(y > 0, logarithm, 0.0)


@fault("divide", "backward")
def a_denominator_that_is_tiny(x, bad):
    tiny = x * (1e-170 if bad else 1.0)
    return 1.0 / tiny  # BLAME


@fault("multiply", "backward")
def a_slope_too_steep(x, bad):
    tiny = x * (1e-300 if bad else 1.0)
    y = (tiny + 0.0) * (1e200 if bad else 1.0)  # BLAME
    return y * (1e200 if bad else 1.0)


@fault("power", "backward")
def a_slope_that_is_infinite(x, bad):
    return (x - x if bad else x) ** 0.25  # BLAME


def bare(function, at, rng):
    """(loss, leaves): on its own."""
    w = tg.Tensor(FINE, requires_grad=True, name="w")
    return (function(w, True) * 2.0).sum(), [w]


def recurrent(function, at, rng):
    """In one step of a recurrent network."""
    w = tg.Tensor(rng.normal(0, 0.3, (3, 3)), requires_grad=True, name="W")
    b = tg.Tensor(FINE, requires_grad=True, name="b")
    h = tg.Tensor(np.zeros(3))
    for t, x in tg.steps(rng.normal(0, 0.1, (6, 3))):
        h = ((w @ h).tanh() * 0.1 + 0.5 * h + x).named("h")
        with tg.scope("gate"):
            h = h + function(b + 0.1 * h.tanh(), t == at) * 0.1
    return h.sum(), [w, b]


def beside_masks(function, at, rng):
    """Beside attention with a mask of -inf, and a NaN in a branch that is not taken."""
    w = tg.Tensor(FINE, requires_grad=True, name="w")
    weights = (w + np.array([0.0, -INF, 0.0])).softmax()
    negative = w - 5.0
    kept = tg.where(negative > 0, negative.log(), 1.0)
    with tg.scope("gate"), tg.step(at):
        found = function(w * 1.0, True)
    return (weights * kept).sum() + found.sum(), [w]


def second_use(function, at, rng):
    """The same line is right the first time, and wrong the second."""
    w = tg.Tensor(FINE, requires_grad=True, name="w")
    first = function(w * 1.0, False)
    with tg.scope("second"), tg.step(at):
        return first.sum() + function(w * 1.0, True).sum(), [w]


CONTEXTS = [bare, recurrent, beside_masks, second_use]

# Clean ------------------------------------------------------------------------------------------------------------

CLEAN = []
MASK = np.array([True, False, True])
LOG_MASK = np.where(MASK, 0.0, -INF)


def clean(function):
    CLEAN.append(function)
    return function


@clean
def attention_by_where(w):
    return (tg.where(MASK, w, -INF).softmax() * FINE).sum()


@clean
def attention_by_adding(w):
    return ((w + LOG_MASK).softmax() * FINE).sum()


@clean
def likelihood_of_what_is_allowed(w):
    return tg.where(MASK, (w + LOG_MASK).log_softmax(), 0.0).sum()


@clean
def likelihood_of_one(w):
    return -(w + LOG_MASK).log_softmax()[0]


@clean
def logsumexp_with_a_mask(w):
    return (w + LOG_MASK).logsumexp()


@clean
def largest_of_what_is_allowed(w):
    return (w + LOG_MASK).max()


@clean
def smallest_of_what_is_allowed(w):
    return (w - LOG_MASK).min()


@clean
def exp_of_minus_inf(w):
    return (w + LOG_MASK).exp().sum()


@clean
def sigmoid_of_minus_inf(w):
    return (w + LOG_MASK).sigmoid().sum()


@clean
def tanh_of_inf(w):
    return (w - LOG_MASK).tanh().sum()


@clean
def relu_of_minus_inf(w):
    return np.maximum(w + LOG_MASK, 0.0).sum() + (w + LOG_MASK).relu().sum()


@clean
def a_floor_under_the_mask(w):
    return np.clip(w + LOG_MASK, -1e9, 1e9).sum()


@clean
def running_maximum_from_minus_inf(w):
    best = tg.Tensor(-INF)
    for t, x in tg.steps(w):
        best = tg.maximum(best, x * float(t + 1))
    return best


@clean
def causal_attention(w):
    scores = w.reshape(3, 1) * w
    return (tg.where(np.tri(3) > 0, scores, -INF).softmax() @ w).sum()


@clean
def a_forward_algorithm_in_logarithms(w):
    alpha = tg.Tensor([0.0, -INF, -INF])
    moves = np.where(np.tri(3) > 0, 0.0, -INF).T
    for _, x in tg.steps(FINE):
        alpha = tg.logsumexp(alpha + moves.T + 1.0, axis=-1) + w * x if alpha.tracked else w * x
    return alpha.logsumexp()


@clean
def the_logarithm_that_is_not_taken(w):
    negative = w - 1.0
    return tg.where(negative > 0, negative.log(), 0.0).sum()


@clean
def a_constant_nan_that_is_not_chosen(w):
    return tg.where(MASK, w, np.array([np.nan, 1.0, 1.0])).sum()


@clean
def a_mask_computed_as_a_logarithm(w):
    mask = tg.log(tg.Tensor(MASK.astype(float)))
    return ((w + mask).softmax() * FINE).sum()


@clean
def divided_by_inf(w):
    return (w / np.where(MASK, 1.0, INF)).sum()


@clean
def attention_at_every_step(w):
    h = tg.Tensor(np.zeros(3))
    for t, x in tg.steps(np.ones((5, 3))):
        weights = tg.where(np.arange(3) <= t, w * x + h, -INF).softmax()
        h = (weights * h + x * w).tanh().named("h")
    return h.sum()


@clean
def the_best_of_a_beam(w):
    scores = tg.Tensor([0.0, -INF, -INF])
    for _, x in tg.steps(FINE):
        scores = (scores + w * x).max() + tg.Tensor(LOG_MASK)
    return tg.where(np.isfinite(LOG_MASK), scores, 0.0).sum()


@clean
def masked_mean_and_variance(w):
    kept = tg.where(MASK, w, 0.0)
    mean = kept.sum() / 2.0
    return tg.where(MASK, (w - mean) ** 2, 0.0).sum() / 2.0
