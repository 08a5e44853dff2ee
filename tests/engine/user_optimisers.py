"""Optimisers as a user would write them."""

import torch


class NamedOtherwise(torch.optim.SGD):
    """Its step size has another name."""

    def __init__(self, params, learning_rate=0.3):
        super().__init__(params, lr=learning_rate)


class Fixed(torch.optim.SGD):
    """It takes what it likes, whatever it is given."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=0.05)


class Scaled(torch.optim.SGD):
    """It makes something of the step size."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr / 10)


class Nameless(torch.optim.Optimizer):
    """Keeps its step size to itself."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"eta": lr})

    def step(self, closure=None):
        return None


class NoOptimiser:
    def __init__(self, params, lr=0.1):
        self.param_groups = [{"lr": lr}]
