"""A multi-view data set of rendered industrial parts, written in exactly Real-IAD's layout.

Nothing is imported here, so that reading the settings never loads the renderer.
"""
