"""Lemmas behind the rules of the proof kernel, each decided by Z3: `python -m proofs` prints the table."""

from proofs.lemma import Lemma as Lemma
from proofs.lemma import Mutant as Mutant
from proofs.lemma import UndecidedError as UndecidedError
from proofs.lemma import counterexample as counterexample
from proofs.lemma import mutants as mutants
from proofs.lemma import witness as witness
from proofs.table import lemmas as lemmas
from proofs.table import proofs as proofs
