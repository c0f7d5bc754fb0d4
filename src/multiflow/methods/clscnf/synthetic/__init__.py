"""Synthetic defects: what a picture of a normal part looks like with a piece of another picture in it."""
