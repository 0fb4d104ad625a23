"""What is known at the optimum: curvature and verdict, covariance, criteria."""
