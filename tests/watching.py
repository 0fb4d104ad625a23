"""A callback to test with."""

import pytest
import sklearn

needs_callbacks = pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9), reason="scikit-learn has callbacks from 1.9 on"
)


class Watcher:
    """A callback that counts, and stops or interrupts if asked to."""

    def __init__(self, stop_at=None, interrupt_at=None):
        self.stop_at, self.interrupt_at = stop_at, interrupt_at
        self.iterations, self.ended, self.torn_down, self.seen = 0, False, False, []

    def setup(self, estimator, context):
        self.torn_down = False

    def teardown(self, estimator, context):
        self.torn_down = True

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, X=None):
        if context.task_name != "iteration":
            self.ended = True
            return False
        self.iterations += 1
        self.seen.append(fitted_estimator)
        assert len(fitted_estimator.predict(X)) == len(X)
        if self.iterations == self.interrupt_at:
            raise KeyboardInterrupt
        return self.iterations == self.stop_at
