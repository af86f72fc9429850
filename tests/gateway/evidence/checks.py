"""The numbers of the checks of a verification."""

ALL_CHECKS = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13]
