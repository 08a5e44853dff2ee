"""LightningModules that train a plain model: loss, optimiser step, learning rate and running metrics."""
