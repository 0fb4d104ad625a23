"""One command for one's own file: ``python -m mle_regression data.csv --target price``."""
