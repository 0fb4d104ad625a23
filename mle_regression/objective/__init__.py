"""What is minimised? A function of one flat vector of parameters: value, gradient, curvature."""
