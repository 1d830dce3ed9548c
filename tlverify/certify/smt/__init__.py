"""Z3 as a second opinion: a small claim proved or refuted from the program alone, without a certificate."""

from tlverify.certify.smt.replay import reaches as reaches
from tlverify.certify.smt.solver import MAX_UNSTABLE as MAX_UNSTABLE
from tlverify.certify.smt.solver import MissingZ3 as MissingZ3
from tlverify.certify.smt.solver import Outcome as Outcome
from tlverify.certify.smt.solver import Point as Point
from tlverify.certify.smt.solver import prove as prove
