"""packed: entropy-coded weights in as few bytes as they need, readable by bmx only."""

from bmx.config.formats import Format

FORMAT = Format(
    place=40,
    suffix=".bmxp",
    help="the weights for bmx in the fewest bytes, exact: for pruned and shared weights",
    write="bmx.export.packed_file:write",
    read="bmx.export.packed_file:read",
    of_weights=True,
    idle={
        "preprocessing": (
            "a packed file is read by bmx, which takes raw samples and normalises them",
            "format=safetensors",
        ),
        "tolerance": ("this format keeps the weights to the last bit", "format=pt2"),
    },
    own_size=True,
)
