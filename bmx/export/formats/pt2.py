"""pt2: the graph of torch.export."""

from bmx.config.formats import Format

FORMAT = Format(
    place=20,
    suffix=".pt2",
    help="torch without bmx",
    write="bmx.export.pt2_file:write",
    read="bmx.export.pt2_file:read",
    also=("torchscript", "torch_script", "script", "pt", "export", "exported_program"),
)
