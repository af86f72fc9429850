"""Tests of the node's console."""
