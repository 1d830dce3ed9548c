"""The quickstart's recipes: their network, and that a short run of each trains it. The full runs are slow tests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tlverify.train import data, losses
from tlverify.train.recipes import CERTIFIED, PLAIN, Recipe, digit_classifier


@pytest.mark.parametrize("recipe", [PLAIN, CERTIFIED])
def test_a_short_run(recipe: Recipe) -> None:
    train, test = data.digits()
    trained = replace(recipe, epochs=8).train(train, seed=1, evaluation=test)
    assert len(trained.report.scores) == 8
    assert trained.accuracy(test) > 0.8
    assert [parameter.shape for parameter in trained.graph.parameters if "weight" in parameter.name] == [
        *((64, 64), (32, 64), (10, 32))
    ]


def test_text() -> None:
    assert str(PLAIN) == "cross-entropy; Adam, learning rate 0.006, 100 epochs of batches of 64"


def test_the_classifier() -> None:
    text = str(digit_classifier())
    assert text.endswith("Linear(64, 64), ReLU, Linear(64, 32), ReLU, Linear(32, 10))")


@pytest.mark.slow
def test_the_certified_recipe_bounds_what_the_plain_one_does_not() -> None:
    train, test = data.digits()
    worst = losses.IntervalCrossEntropy(0.02)
    sure = []
    for recipe in (PLAIN, CERTIFIED):
        trained = recipe.train(train)
        assert trained.accuracy(test) > 0.97
        logits = worst.worst_logits(trained.trainer.model, trained.params, test.x, test.y, 0.02)
        sure.append((logits.argmax(-1) == test.y).mean())
    assert sure[0] < 0.5 < 0.9 < sure[1]
