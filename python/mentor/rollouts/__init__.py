"""Rollouts: a policy, its tools and a budget; one loop for training, evaluation and local teachers."""
