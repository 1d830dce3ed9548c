"""Every lemma is satisfiable and proved, its mutants are refuted, and the procedure that says so can fail."""

from __future__ import annotations

import pytest
import z3

from proofs import __main__ as command
from proofs import lemma as procedure
from proofs.lemma import Lemma, Mutant, UndecidedError, counterexample, mutants, witness
from proofs.table import FAST_PLACES, INTERVAL_PLACES, KERNEL_PLACES, lemmas, proofs
from tlverify.certify import kernel
from tlverify.certify.kernel import rules

LEMMAS = lemmas()
GROUPS = {
    "rules of the calculus": kernel.RULES,
    "op rows": rules.RULES,
    "places of the kernel": KERNEL_PLACES,
    "places of fast": FAST_PLACES,
    "places of interval": INTERVAL_PLACES,
}
X, Y = z3.Reals("x y")


def toy(hypothesis: z3.BoolRef, conclusion: z3.BoolRef, *wrong: Mutant) -> Lemma:
    return Lemma("toy", "a toy", ("interval",), {"given": hypothesis}, conclusion, wrong)


@pytest.mark.parametrize("lemma", LEMMAS, ids=lambda lemma: lemma.name)
class TestEveryLemma:
    def test_hypotheses_can_hold(self, lemma: Lemma) -> None:
        assert witness(lemma) is not None

    def test_is_proved(self, lemma: Lemma) -> None:
        assert counterexample(lemma) is None

    def test_every_wrong_version_is_refuted(self, lemma: Lemma) -> None:
        assert lemma.mutants
        assert [m.error for m in mutants(lemma) if counterexample(lemma, m) is None] == []


@pytest.mark.parametrize("group", GROUPS)
def test_everything_has_a_lemma(group: str) -> None:
    assert sorted(set(GROUPS[group]) - set(proofs())) == []


def test_no_lemma_is_for_something_that_does_not_exist() -> None:
    known = [name for group in GROUPS.values() for name in group]
    assert len(known) == len(set(known))
    assert sorted(set(proofs()) - set(known)) == []


def test_names_are_unique() -> None:
    names = [lemma.name for lemma in LEMMAS]
    assert sorted(set(names)) == sorted(names)


def test_a_false_lemma_has_a_counterexample() -> None:
    model = counterexample(toy(X >= 0, X > 0))
    assert model is not None
    assert model.eval(X).as_fraction() == 0


def test_a_vacuous_lemma_has_no_witness() -> None:
    vacuous = toy(z3.And(X > 0, X < 0), Y > 0)
    assert counterexample(vacuous) is None
    assert witness(vacuous) is None


def test_an_unneeded_hypothesis_survives_as_a_mutant() -> None:
    lemma = toy(X >= 0, X * X >= 0)
    assert [m.error for m in mutants(lemma) if counterexample(lemma, m) is None] == ["without: given"]


def test_a_mutant_of_no_hypothesis_is_an_error() -> None:
    with pytest.raises(KeyError, match="replaces 'elsewhere', not a hypothesis"):
        counterexample(toy(X >= 0, X >= 0), Mutant("typo", hypotheses={"elsewhere": X > 0}))


def test_unknown_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procedure, "RESOURCES", 10)
    with pytest.raises(UndecidedError, match="Z3 answers unknown"):
        counterexample(toy(X * X * Y > 3, Y**3 * X < X + Y**2))


@pytest.mark.parametrize(
    ("lemma", "verdict"),
    [
        (toy(X >= 1, X >= 0, Mutant("strict", X > 1)), "1 of 1 lemmas hold, 2 mutants refuted"),
        (toy(X >= 0, X > 0), "false"),
        (toy(z3.And(X > 0, X < 0), X > 0), "vacuous"),
        (toy(X >= 1, X >= 0, Mutant("not wrong", X > 0)), "0 of 1 lemmas hold, 1 mutants refuted"),
    ],
)
def test_the_command_reports_failures(
    lemma: Lemma, verdict: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "lemmas", lambda: (lemma,))
    assert command.main() == (0 if verdict.startswith("1 of 1") else 1)
    assert verdict in capsys.readouterr().out
