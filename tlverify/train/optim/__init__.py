"""Optimizers, learning-rate schedules and limits on gradients: frozen settings and plain functions over pytrees.

`state = optimizer.init(params)`, then `params, state = optimizer.update(grads, state, params)` for each step.
"""

from tlverify.train.optim.adam import Adam as Adam
from tlverify.train.optim.adam import AdamState as AdamState
from tlverify.train.optim.adam import AdamW as AdamW
from tlverify.train.optim.adaptive import Adadelta as Adadelta
from tlverify.train.optim.adaptive import Adagrad as Adagrad
from tlverify.train.optim.adaptive import RMSprop as RMSprop
from tlverify.train.optim.base import Optimizer as Optimizer
from tlverify.train.optim.clipping import Clip as Clip
from tlverify.train.optim.clipping import ClipNorm as ClipNorm
from tlverify.train.optim.clipping import Clipped as Clipped
from tlverify.train.optim.clipping import ClipPercentile as ClipPercentile
from tlverify.train.optim.clipping import ClipValue as ClipValue
from tlverify.train.optim.clipping import global_norm as global_norm
from tlverify.train.optim.groups import Frozen as Frozen
from tlverify.train.optim.groups import Groups as Groups
from tlverify.train.optim.matrix import LowRank as LowRank
from tlverify.train.optim.matrix import Muon as Muon
from tlverify.train.optim.schedules import Schedule as Schedule
from tlverify.train.optim.schedules import constant as constant
from tlverify.train.optim.schedules import cosine as cosine
from tlverify.train.optim.schedules import cyclic as cyclic
from tlverify.train.optim.schedules import exponential as exponential
from tlverify.train.optim.schedules import linear as linear
from tlverify.train.optim.schedules import one_cycle as one_cycle
from tlverify.train.optim.schedules import step as step
from tlverify.train.optim.schedules import warmup as warmup
from tlverify.train.optim.schedules import warmup_cosine as warmup_cosine
from tlverify.train.optim.sgd import SGD as SGD
