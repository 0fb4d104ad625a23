"""A fitted model told on one page: numbers, pictures and plain words, in one HTML file that needs no other."""

from mle_regression.page.report import report

__all__ = ["report"]
