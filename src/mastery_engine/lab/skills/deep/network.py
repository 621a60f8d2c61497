"""The network of deep knowledge tracing: an LSTM over answers, asked about the next one. It takes JAX and Optax."""

from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jax import Array

from mastery_engine.lab.skills.deep.sequences import UNKNOWN, Answers

EMBEDDED, STATE, HIDDEN = 64, 64, 64
DROPPED = 0.5  # share of numbers left out while it learns
FORGOTTEN = 0.05  # share of items taken for unknown while it learns, so that an unknown item means something
RATE, DECAY, LONGEST_STEP = 2e-3, 0.1, 1.0
LATEST = 0.02  # share of the latest weights in their mean

Weights: TypeAlias = dict[str, Array]
State: TypeAlias = tuple[Array, Array]

OPTIMIZER = optax.chain(optax.clip_by_global_norm(LONGEST_STEP), optax.adamw(RATE, weight_decay=DECAY))


def drawn(key: Array, items: int, skills: int) -> Weights:
    """Weights to begin with: small where they embed, by fan-in where they mix (Glorot and Bengio 2010)."""
    mix = jax.nn.initializers.glorot_uniform()
    keys = jax.random.split(key, 6)
    weights: Weights = {
        "items": 0.1 * jax.random.normal(keys[0], (items + 1, EMBEDDED)),
        "skills": 0.1 * jax.random.normal(keys[1], (skills + 1, EMBEDDED)),
        "ease": jnp.zeros(items + 1),
        "seen": mix(keys[2], (2 * EMBEDDED + 2, 4 * STATE)),
        "carried": mix(keys[3], (STATE, 4 * STATE)),
        "gates": jnp.zeros(4 * STATE).at[STATE : 2 * STATE].set(1.0),  # what is known is kept at first
        "hidden": mix(keys[4], (STATE + EMBEDDED + 1, HIDDEN)),
        "shift": jnp.zeros(HIDDEN),
        "out": mix(keys[5], (HIDDEN, 1))[:, 0],
        "level": jnp.zeros(()),
    }
    return weights


def nothing_seen(students: int) -> State:
    """The state of students before their first answers."""
    return jnp.zeros((students, STATE)), jnp.zeros((students, STATE))


def _logits(weights: Weights, state: State, answers: Answers, key: Array | None) -> tuple[Array, State]:
    """The logit of each answer before it is shown, and the state after the last; with a key it leaves out by chance."""
    kept = partial(_kept, key)
    items = answers.items
    if key is not None:
        unknown = jax.random.bernoulli(jax.random.fold_in(key, 0), FORGOTTEN, items.shape)
        items = jnp.where(unknown, UNKNOWN, items)
    embedded = weights["items"][items] + (weights["skills"][answers.skills] * answers.shares[..., None]).sum(axis=2)
    asked = kept(1, embedded)
    gaps, signs = answers.gaps[..., None], 2.0 * answers.right[..., None] - 1.0
    inputs = jnp.concatenate([asked, asked * signs, signs, gaps], axis=-1) @ weights["seen"] + weights["gates"]

    def step(before: State, given: tuple[Array, Array]) -> tuple[State, Array]:
        hidden, cell = before
        let_in, keep, let_out, new = jnp.split(given[0] + hidden @ weights["carried"], 4, axis=-1)
        later = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(let_in) * jnp.tanh(new)
        shown = jax.nn.sigmoid(let_out) * jnp.tanh(later)
        there = given[1][:, None] > 0.0
        return (jnp.where(there, shown, hidden), jnp.where(there, later, cell)), hidden

    state, known = jax.lax.scan(step, state, (inputs.swapaxes(0, 1), answers.there.swapaxes(0, 1)))
    read = jnp.concatenate([kept(2, known.swapaxes(0, 1)), asked, gaps], axis=-1)
    mixed = kept(3, jax.nn.relu(read @ weights["hidden"] + weights["shift"]))
    return mixed @ weights["out"] + weights["level"] + weights["ease"][items], state


def _kept(key: Array | None, place: int, values: Array) -> Array:
    """Dropout (Srivastava et al. 2014), where there is chance."""
    if key is None:
        return values
    chosen = jax.random.bernoulli(jax.random.fold_in(key, place), 1.0 - DROPPED, values.shape)
    return jnp.where(chosen, values / (1.0 - DROPPED), 0.0)


def _loss(weights: Weights, state: State, answers: Answers, key: Array | None) -> tuple[Array, State]:
    """The log loss summed over the answers."""
    logits, state = _logits(weights, state, answers, key)
    return (optax.sigmoid_binary_cross_entropy(logits, answers.right) * answers.there).sum(), state


class Learning(NamedTuple):
    """Where fitting stands."""

    weights: Weights
    means: Weights  # of the weights of the last steps, each counting a little less: they predict better than the last
    moments: optax.OptState


def begun(key: Array, items: int, skills: int) -> Learning:
    """Fitting that is to begin, with tables for so many items and skills."""
    weights = drawn(key, items, skills)
    return Learning(weights, weights, OPTIMIZER.init(weights))


def _trained(learning: Learning, state: State, answers: Answers, key: Array) -> tuple[Learning, State]:
    """One step on one window; the state goes on, without gradients, into the next one."""

    def mean_loss(tried: Weights) -> tuple[Array, State]:
        total, after = _loss(tried, state, answers, key)
        return total / answers.there.sum(), after

    slopes, state = jax.grad(mean_loss, has_aux=True)(learning.weights)
    updates, moments = OPTIMIZER.update(slopes, learning.moments, learning.weights)
    weights = optax.apply_updates(learning.weights, updates)
    return Learning(weights, optax.incremental_update(weights, learning.means, LATEST), moments), state


def _chances(weights: Weights, state: State, answers: Answers) -> tuple[Array, State]:
    logits, state = _logits(weights, state, answers, None)
    return jax.nn.sigmoid(logits), state


def _loss_of(weights: Weights, state: State, answers: Answers) -> tuple[Array, State]:
    return _loss(weights, state, answers, None)


trained = jax.jit(_trained)
chances = jax.jit(_chances)
loss = jax.jit(_loss_of)
