"""Figures: what a person looks at, drawn from stored scores."""
