"""Kinds of data (images, tokens, tables), one file each, with everything that differs between them."""
