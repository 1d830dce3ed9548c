"""Training: data, losses, optimizers, and the Trainer that runs them."""

from tlverify.train import data as data
from tlverify.train import losses as losses
from tlverify.train import optim as optim
from tlverify.train.augment import Jitter as Jitter
from tlverify.train.callbacks import Callbacks as Callbacks
from tlverify.train.callbacks import EarlyStopping as EarlyStopping
from tlverify.train.checkpoint import CheckpointError as CheckpointError
from tlverify.train.checkpoint import Checkpoints as Checkpoints
from tlverify.train.config import ConfigError as ConfigError
from tlverify.train.config import run_config as run_config
from tlverify.train.data import DataError as DataError
from tlverify.train.data import Dataset as Dataset
from tlverify.train.interval import interval_bounds as interval_bounds
from tlverify.train.logs import CsvLog as CsvLog
from tlverify.train.logs import JsonLines as JsonLines
from tlverify.train.logs import TensorBoard as TensorBoard
from tlverify.train.objective import Objective as Objective
from tlverify.train.probe import Probe as Probe
from tlverify.train.report import Report as Report
from tlverify.train.state import StopTraining as StopTraining
from tlverify.train.state import TrainingError as TrainingError
from tlverify.train.state import TrainState as TrainState
from tlverify.train.stepper import Stepper as Stepper
from tlverify.train.stream import StepStream as StepStream
from tlverify.train.trained import Trained as Trained
from tlverify.train.trainer import Trainer as Trainer
