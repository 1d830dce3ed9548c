"""Training: data, losses, optimizers, and the Trainer that runs them."""

from tlverify.train import data as data
from tlverify.train import losses as losses
from tlverify.train import optim as optim
from tlverify.train.augment import Jitter as Jitter
from tlverify.train.config import ConfigError as ConfigError
from tlverify.train.config import run_config as run_config
from tlverify.train.data import DataError as DataError
from tlverify.train.data import Dataset as Dataset
from tlverify.train.interval import interval_bounds as interval_bounds
from tlverify.train.objective import Objective as Objective
from tlverify.train.trained import Report as Report
from tlverify.train.trained import Trained as Trained
from tlverify.train.trainer import Trainer as Trainer
from tlverify.train.trainer import TrainingError as TrainingError
