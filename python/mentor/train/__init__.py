"""Training: ``python -m mentor.train`` builds or loads a policy, trains it, evaluates it and leaves a run folder."""
