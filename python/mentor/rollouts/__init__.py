"""Rollouts of a policy with tools: one loop for training and evaluation, all calls of a turn executed together."""

from mentor.rollouts.chat import Chat, Request, Turn
from mentor.rollouts.decode import Decoder, can_decode
from mentor.rollouts.desk import Desk
from mentor.rollouts.loop import Clock, Generate, play
from mentor.rollouts.rollout import Budget, Rollout
from mentor.rollouts.run import ends_of, run_rollouts
from mentor.rollouts.sampling import Diverged, Picker, Sampling

__all__ = [
    "Budget",
    "Chat",
    "Clock",
    "Decoder",
    "Desk",
    "Diverged",
    "Generate",
    "Picker",
    "Request",
    "Rollout",
    "Sampling",
    "Turn",
    "can_decode",
    "ends_of",
    "play",
    "run_rollouts",
]
