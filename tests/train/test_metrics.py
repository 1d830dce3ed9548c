import numpy as np
import pytest

from tlverify.graph import ShapeError
from tlverify.train import metrics

OUTPUTS = np.array([[0.1, 0.9, 0.0], [0.5, 0.2, 0.3], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
LABELS = np.array([1, 0, 1, 2])


def test_accuracy() -> None:
    assert metrics.accuracy(OUTPUTS, LABELS) == 0.5
    assert metrics.top_k_accuracy(OUTPUTS, LABELS, 2) == 0.75
    assert metrics.top_k_accuracy(OUTPUTS, LABELS, 3) == 1.0


def test_confusion_matrix_and_what_follows() -> None:
    table = metrics.confusion_matrix(OUTPUTS.argmax(-1), LABELS)
    assert table.tolist() == [[1, 0, 0], [0, 1, 1], [1, 0, 0]]
    precision, recall, f1 = metrics.precision_recall_f1(table)
    np.testing.assert_allclose(precision, [0.5, 1, 0])
    np.testing.assert_allclose(recall, [1, 0.5, 0])
    np.testing.assert_allclose(f1, [2 / 3, 2 / 3, 0])
    assert metrics.format_confusion(table).splitlines() == ["   0 1 2", "0: 1 0 0", "1: 0 1 1", "2: 1 0 0"]


def test_r2() -> None:
    y = np.array([[1.0], [2.0], [3.0]])
    assert metrics.r2(y, y) == 1
    assert metrics.r2(np.full((3, 1), 2.0), y) == 0
    assert np.isnan(metrics.r2(y, np.ones((3, 1))))


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (lambda: metrics.accuracy(OUTPUTS, LABELS[:2]), r"found \[4, 3\] and \[2\]"),
        (lambda: metrics.confusion_matrix(LABELS, LABELS[:1]), r"found \[4\] predictions, \[1\] labels"),
        (lambda: metrics.r2(OUTPUTS, LABELS), r"expected equal shapes, found \[4, 3\] and \[4\]"),
    ],
)
def test_errors(action, reason: str) -> None:
    with pytest.raises(ShapeError, match=reason):
        action()
