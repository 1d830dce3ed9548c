"""Data: what is read from files or made, checked once, and batches of it."""

from tlverify.train.data.dataset import Array as Array
from tlverify.train.data.dataset import DataError as DataError
from tlverify.train.data.dataset import Dataset as Dataset
from tlverify.train.data.dataset import loader as loader
from tlverify.train.data.dataset import tensor_dataset as tensor_dataset
from tlverify.train.data.dataset import token_dataset as token_dataset
from tlverify.train.data.files import digits as digits
from tlverify.train.data.files import load_npy as load_npy
from tlverify.train.data.files import load_npz as load_npz
from tlverify.train.data.generated import Normalize as Normalize
from tlverify.train.data.generated import grid as grid
from tlverify.train.data.generated import prefetch as prefetch
from tlverify.train.data.generated import regression_grid_2to1 as regression_grid_2to1
from tlverify.train.data.generated import transform as transform
from tlverify.train.data.images import CIFAR10_CLASSES as CIFAR10_CLASSES
from tlverify.train.data.images import cifar10 as cifar10
from tlverify.train.data.images import image_folder as image_folder
from tlverify.train.data.images import load_idx as load_idx
from tlverify.train.data.images import mnist as mnist
from tlverify.train.data.table import Table as Table
from tlverify.train.data.table import load_csv as load_csv
from tlverify.train.data.text import BPETokenizer as BPETokenizer
from tlverify.train.data.text import ByteTokenizer as ByteTokenizer
from tlverify.train.data.text import CharTokenizer as CharTokenizer
from tlverify.train.data.text import load_text as load_text
from tlverify.train.data.text import next_token_windows as next_token_windows
