"""The kinds of data, a file each: what bmx does for images that it does not do for tokens stands here."""
