"""bmx train: fit a model, test the best checkpoint, write down everything."""
