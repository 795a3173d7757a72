"""Members that judge an entity as a whole, against their textbooks: plain numpy, nothing learned step by step."""

import numpy as np
import pytest

from tocsin.detect.multi_autoregression import Autoregression
from tocsin.detect.multi_kmeans import CENTRES, KMeans
from tocsin.detect.multi_member import Look
from tocsin.detect.multi_memory import LENGTH, ShingleMemory
from tocsin.detect.multi_neighbours import NearRows, Neighbours
from tocsin.detect.multi_relation import RIDGE, Relation
from tocsin.detect.multi_scale import RobustScale
from tocsin.detect.multi_spread import Spread
from tocsin.detect.multi_subspace import DIRECTIONS, ROWS, Subspace

SIGNALS, STEPS = 6, 400


class World:
    """Rows of related signals, learned the way the entity scorer does it; `rows` (steps, signals)."""

    def __init__(self, rows, members=(), refit_at=(200, 300)):
        self.rows = rows
        self.memory, self.scale = ShingleMemory(rows.shape[1]), RobustScale(rows.shape[1])
        self.z = []
        before = np.full(rows.shape[1], np.nan)
        for t, row in enumerate(rows):
            self.memory.push(row)
            z = self.scale.deviations(row)
            self.z.append(z)
            self.look = Look(
                self.memory.latest, z, before, self.scale.reach,
                self.memory.past[: self.memory.size], self.memory.when[: self.memory.size], self.memory.seen,
            )  # fmt: skip
            if t == len(rows) - 1:
                return  # the last row is the one that is judged
            for member in members:
                member.learn(self.look)
            self.scale.learn(row)
            self.memory.learn()
            before = z
            if t + 1 in refit_at:
                self.scale.refit(self.memory)
                for member in members:
                    member.refit(self.memory, self.scale)


def life(seed=1, steps=STEPS, signals=SIGNALS):
    """Signals that share two slow causes, each with noise of its own."""
    noise = np.random.default_rng(seed)
    causes = np.zeros((steps, 2))
    for t in range(1, steps):
        causes[t] = 0.7 * causes[t - 1] + noise.normal(size=2)
    return causes @ noise.normal(size=(2, signals)) + 0.3 * noise.normal(size=(steps, signals)) + np.arange(signals)


def test_centre_spread_and_reach_are_those_of_numpy():
    rows = life()
    world = World(rows, refit_at=(200,))
    kept = rows[:200]
    scale = world.scale
    ordered = np.sort(kept, axis=0)
    quartiles = (ordered[150] - ordered[50]) / 1.349
    spread = np.maximum(quartiles, kept.std(axis=0))
    np.testing.assert_allclose(scale.centre, ordered[100], rtol=1e-12)
    np.testing.assert_allclose(scale.spread, spread, rtol=1e-9)
    np.testing.assert_allclose(scale.reach, np.maximum(np.ptp(kept, axis=0) / 6, spread), rtol=1e-9)


@pytest.mark.parametrize("member", [Neighbours, NearRows])
@pytest.mark.parametrize("missing", [False, True])
def test_distances_to_neighbours_are_those_of_all_pairs(member, missing):
    rows = life(2)
    if missing:
        rows[-2:, 3] = np.nan
        rows[:40, 1] = np.nan
    world = World(rows)
    got, parts = member(SIGNALS).score(world.look)
    width = member.rows
    look = world.look
    gaps = np.minimum(np.abs(look.latest[None, :width] - look.past[:, :width]) / look.reach, 20.0)
    squares = np.nan_to_num(gaps) ** 2
    earlier = np.flatnonzero(look.when <= look.step - width)
    total = squares.sum(axis=(1, 2))[earlier]
    known = np.isfinite(look.latest[:width]).sum()
    assert got == pytest.approx(np.sqrt(np.sort(total)[:5] / known).mean(), rel=1e-12)
    np.testing.assert_allclose(parts, squares[earlier[np.argmin(total)]].sum(axis=0), rtol=1e-12)


def test_centres_are_those_of_gonzalez_and_lloyd():
    world = World(life(3), refit_at=(200,))
    kept, reach, medians = world.memory.past[: world.memory.size], world.scale.reach, world.scale.centre

    def squared(windows, to):
        return (np.nan_to_num(np.minimum(np.abs(windows - to) / reach, 20.0)) ** 2).sum(axis=(1, 2))

    centres, far = [np.tile(medians, (LENGTH, 1))], np.full(len(kept), np.inf)
    while len(centres) < CENTRES:
        far = np.minimum(far, squared(kept, centres[-1]))
        centres.append(kept[np.argmax(far)])
    member = KMeans(SIGNALS)
    for _ in range(3):
        member.refit(world.memory, world.scale)
        for _ in range(2):
            nearest = np.argmin([squared(kept, each) for each in centres], axis=0)
            centres = [moved(kept[nearest == c], centres[c], medians) for c in range(CENTRES)]
    np.testing.assert_allclose(member.centres, centres, rtol=1e-9, atol=1e-12)
    got, parts = member.score(world.look)
    gaps = np.array([squared(world.look.latest[None], each)[0] for each in centres])
    assert got == pytest.approx(np.sqrt(gaps.min() / world.look.latest.size), rel=1e-9)
    assert parts.sum() == pytest.approx(gaps.min(), rel=1e-9)


def moved(windows, before, medians):
    """The mean of windows where they have values, else what was there, else the medians."""
    known = np.isfinite(windows)
    counts = known.sum(axis=0)
    mean = np.where(known, windows, 0.0).sum(axis=0) / np.maximum(counts, 1)
    return np.where(counts > 0, mean, np.where(np.isnan(before), medians, before))


def test_the_residual_is_that_of_the_principal_components():
    member, world = Subspace(SIGNALS), World(life(4), refit_at=(200,))
    for _ in range(60):  # a few power iterations each: together they converge
        member.refit(world.memory, world.scale)
    deviations = (world.memory.past[: world.memory.size, :ROWS] - world.scale.centre) / world.scale.spread
    windows = np.clip(np.nan_to_num(deviations), -8, 8).reshape(world.memory.size, -1)
    _, _, directions = np.linalg.svd(windows, full_matrices=False)
    newest = ((world.look.latest[:ROWS] - world.scale.centre) / world.scale.spread).ravel()
    basis = directions[:DIRECTIONS]
    left = newest - basis.T @ (basis @ newest)
    got, parts = member.score(world.look)
    assert got == pytest.approx(np.sqrt((left**2).mean()), rel=1e-5)
    np.testing.assert_allclose(parts, left[:SIGNALS] ** 2, rtol=1e-3, atol=1e-6)


def test_residuals_are_those_of_a_ridge_regression_on_the_row_before():
    """Luetkepohl 2005, 3.2.1: the rows' products, regularised, solved at once."""
    member = Autoregression(SIGNALS)
    world = World(life(5), [member], refit_at=(100, 300))
    z = np.clip(np.nan_to_num(world.z), -8, 8)
    at = 300  # rows before it taught the weights; the first has no row before it
    lagged = np.vstack([np.zeros(SIGNALS), z[: at - 1]])
    weights = np.linalg.solve(lagged.T @ lagged / at + RIDGE * np.eye(SIGNALS), lagged.T @ z[:at] / at).T
    np.testing.assert_allclose(member.weights, weights, rtol=1e-8, atol=1e-12)
    residual = z[-1] - weights @ z[-2]
    got, parts = member.score(world.look)
    np.testing.assert_allclose(parts, residual**2 / member.square, rtol=1e-8)
    assert got == pytest.approx(np.sqrt((residual**2 / member.square).mean()), rel=1e-8)
    told = np.array([z[t] - weights @ z[t - 1] for t in range(at, STEPS - 1)])
    assert (member.square / np.mean(told**2, axis=0)).mean() == pytest.approx(1.0, abs=0.1)


def test_residuals_are_those_of_each_signal_regressed_on_all_others():
    """Lauritzen 1996: what the inverse of the correlations gives is a ridge regression on the other signals."""
    member = Relation(SIGNALS)
    world = World(life(6), [member], refit_at=(100, 300))
    z = np.clip(np.nan_to_num(world.z), -8, 8)
    products = z[:300].T @ z[:300] / 300
    sd = np.sqrt(np.diag(products))
    correlations = products / np.outer(sd, sd)
    residual, told = np.zeros(SIGNALS), np.zeros(SIGNALS)
    for i in range(SIGNALS):
        others = np.flatnonzero(np.arange(SIGNALS) != i)
        among = correlations[np.ix_(others, others)] + RIDGE * np.eye(SIGNALS - 1)
        share = np.linalg.solve(among, correlations[others, i])
        residual[i] = z[-1, i] - sd[i] * (share @ (z[-1, others] / sd[others]))
        told[i] = share @ correlations[others, i]
    np.testing.assert_allclose(member.told, told, rtol=1e-8)
    got, parts = member.score(world.look)
    held = told >= 0.5
    ratio = np.where(held, np.abs(residual) / np.sqrt(member.square), 0.0)
    np.testing.assert_allclose(parts, ratio**2, rtol=1e-8)
    assert held.sum() >= 2
    assert got == pytest.approx(np.sort(ratio)[-2:].mean(), rel=1e-8)


@pytest.mark.parametrize("signals", [3, 25, 120])
def test_spread_is_the_mean_of_the_largest_tenth(signals):
    z = np.random.default_rng(7).normal(size=signals)
    z[0] = np.nan
    none = np.zeros(signals)
    look = Look(np.zeros((LENGTH, signals)), z, none, none, np.zeros((0, LENGTH, signals)), np.zeros(0, "i8"), 0)
    known = np.sort(np.abs(z[1:]))[::-1]
    assert Spread(signals).score(look)[0] == pytest.approx(known[: max(4, -(-(signals - 1) // 10))].mean(), rel=1e-12)
