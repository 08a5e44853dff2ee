"""bmx distill: fit a student against frozen teachers."""
