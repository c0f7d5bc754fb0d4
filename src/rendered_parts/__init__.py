"""Rendered industrial parts: several views in exactly Real-IAD's layout, or one in MVTec AD's.

Nothing is imported here, so that reading the settings never loads the renderer.
"""
