"""What is owed to scikit-learn: the interface that both estimators share."""
