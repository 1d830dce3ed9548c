"""Losses: functions of outputs and targets, and the cross-entropy of the worst logits in a box."""

from tlverify.train.losses.adversarial import AdversarialCrossEntropy as AdversarialCrossEntropy
from tlverify.train.losses.adversarial import MixedCrossEntropy as MixedCrossEntropy
from tlverify.train.losses.adversarial import attacked as attacked
from tlverify.train.losses.certified import IntervalCrossEntropy as IntervalCrossEntropy
from tlverify.train.losses.classification import bce as bce
from tlverify.train.losses.classification import bce_with_logits as bce_with_logits
from tlverify.train.losses.classification import cross_entropy as cross_entropy
from tlverify.train.losses.classification import hinge as hinge
from tlverify.train.losses.classification import multiclass_hinge as multiclass_hinge
from tlverify.train.losses.classification import nll as nll
from tlverify.train.losses.crown import CrownCrossEntropy as CrownCrossEntropy
from tlverify.train.losses.regression import cosine as cosine
from tlverify.train.losses.regression import huber as huber
from tlverify.train.losses.regression import kl_divergence as kl_divergence
from tlverify.train.losses.regression import log_cosh as log_cosh
from tlverify.train.losses.regression import mae as mae
from tlverify.train.losses.regression import mse as mse
from tlverify.train.losses.regression import poisson as poisson
