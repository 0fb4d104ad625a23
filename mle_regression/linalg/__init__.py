"""Numerics with no statistics: equilibration, Gram matrices, QR, SVD, exact arithmetic."""
