"""Synthetic defects: what a picture of a normal part looks like with a piece of another picture in it."""

import cv2

# Worker processes are forked, and would wait forever for threads that only their parent has.
cv2.setNumThreads(0)
