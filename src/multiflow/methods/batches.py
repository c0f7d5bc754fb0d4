"""Batches of an epoch, and the one line for a training set that does not fill one."""

from __future__ import annotations

from multiflow.base.errors import InputError

__all__ = ["count_batches"]


def count_batches(count: int, size: int, drop_last: bool, key: str, unit: str, place: str) -> int:
    """How many batches an epoch has.

    Args:
        count: what is trained on.
        size: of a batch.
        drop_last: whether the incomplete last one is left out.
        key: the setting of the size, such as ``batch_size``.
        unit: what is counted, in the plural.
        place: experiment or method, and class, for the message.

    Raises:
        InputError: there is not one batch.
    """
    batches, rest = divmod(count, size)
    if rest and not drop_last:
        batches += 1
    if batches == 0:
        raise InputError(
            f"{place}: train: expected at least training.{key} = {size} {unit}, found {count}; lower training.{key} or "
            "set training.drop_last: false"
        )
    return batches
