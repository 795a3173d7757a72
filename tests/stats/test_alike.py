"""Templates that say nearly the same are grouped, those that only share a form are not."""

import numpy as np

from tocsin.stats.alike import Groups, alike, by_words, vectors

LINES = [
    "ERROR connection to database <*> refused",
    "connection refused by database at <*>",
    "database connection <*> was refused, retrying",
    "login of user <*> failed",
    "user <*> failed to login from <*>",
    "GET /api/items/<*> took <*> ms",
    "loaded model <*> onto GPU <*>",
    "model <*> loaded on gpu <*>",
    "OutOfMemoryError: CUDA out of memory",
    "cuda outOfMemory on device <*>",
    "<*> <*> <*>",
    "<*>",
]


def test_what_says_the_same_in_other_words_is_one_group():
    groups = by_words(LINES).first
    of = [sorted(k for k, leader in enumerate(groups) if leader == each) for each in sorted(set(groups))]
    assert [0, 1, 2] in of
    assert [3, 4] in of
    assert [6, 7] in of
    assert [8, 9] in of
    assert [5] in of


def test_texts_without_words_are_alone_and_nothing_breaks():
    assert by_words(["<*>", "<*>", "", "12 34", "\udcff\x00"]).first == [0, 1, 2, 3, 4]
    assert by_words([]) == Groups([], "hashed words")


def test_opposites_that_share_a_form_are_kept_apart():
    groups = by_words(["payment <*> accepted for order <*>", "shipment <*> lost by carrier <*>", *LINES])
    assert groups.first[:2] == [0, 1]


def test_vectors_are_units_and_the_same_every_time():
    one, other = vectors(LINES), vectors(LINES)
    assert np.array_equal(one, other)
    norms = np.sqrt((one * one).sum(axis=1))
    assert np.allclose(norms[:10], 1.0)


def test_any_unit_vectors_are_grouped_by_the_nearest_leader_and_zeros_by_none():
    made = np.array([[1.0, 0.0], [0.0, 0.0], [0.6, 0.8], [0.8, 0.6], [0.0, 0.0], [0.0, 1.0]])
    assert alike(made, 0.9) == [0, 1, 2, 2, 4, 5]
    assert alike(made, 0.6) == [0, 1, 0, 0, 4, 5]
