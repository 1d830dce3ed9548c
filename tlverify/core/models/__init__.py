"""Well-known models, each a short function or layer built from nn."""

from tlverify.core.models.autoencoder import VAE as VAE
from tlverify.core.models.autoencoder import VectorQuantizer as VectorQuantizer
from tlverify.core.models.autoencoder import autoencoder as autoencoder
from tlverify.core.models.dense import KANLinear as KANLinear
from tlverify.core.models.dense import kan as kan
from tlverify.core.models.dense import mlp as mlp
from tlverify.core.models.diffusion import Diffusion as Diffusion
from tlverify.core.models.diffusion import mlp_denoiser as mlp_denoiser
from tlverify.core.models.diffusion import time_features as time_features
from tlverify.core.models.fourier import SpectralConv1d as SpectralConv1d
from tlverify.core.models.fourier import fno1d as fno1d
from tlverify.core.models.generate import Cache as Cache
from tlverify.core.models.generate import generate as generate
from tlverify.core.models.generate import next_logits as next_logits
from tlverify.core.models.generate import sample as sample
from tlverify.core.models.lora import LoRA as LoRA
from tlverify.core.models.sequence import LanguageModel as LanguageModel
from tlverify.core.models.sequence import gpt as gpt
from tlverify.core.models.sequence import mamba_lm as mamba_lm
from tlverify.core.models.sequence import recurrent_head as recurrent_head
from tlverify.core.models.sequence import transformer_encoder as transformer_encoder
from tlverify.core.models.vision import basic_block as basic_block
from tlverify.core.models.vision import cnn as cnn
from tlverify.core.models.vision import resnet as resnet
from tlverify.core.models.vision import vit as vit
