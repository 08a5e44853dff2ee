"""Several processes that train one model: which of them this is, how they start and end, what each computes."""
