"""The features of every view: a frozen backbone up to one of its modules."""
