"""Where the rows are: every home of rows offers a sum over blocks of rows, and no more."""
