"""Reinforcement learning: small environments, PPO for an actor-critic, and deep Q-learning."""

from tlverify.train.rl.dqn import DQN as DQN
from tlverify.train.rl.dqn import Replay as Replay
from tlverify.train.rl.dqn import dqn_loss as dqn_loss
from tlverify.train.rl.dqn import train_dqn as train_dqn
from tlverify.train.rl.environments import CartPole as CartPole
from tlverify.train.rl.environments import Environment as Environment
from tlverify.train.rl.environments import GridWorld as GridWorld
from tlverify.train.rl.ppo import PPO as PPO
from tlverify.train.rl.ppo import ActorCritic as ActorCritic
from tlverify.train.rl.ppo import advantages as advantages
from tlverify.train.rl.ppo import ppo_loss as ppo_loss
from tlverify.train.rl.ppo import train_ppo as train_ppo
