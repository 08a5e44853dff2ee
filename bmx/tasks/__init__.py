"""What is being learnt: a plain model, a loss and the sums that become metrics, held by a LightningModule."""
