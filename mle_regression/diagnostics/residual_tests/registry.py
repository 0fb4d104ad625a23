"""The tests of assumptions, one line each: they show up in ``diagnose(X, y).tests()``, in the test suite and in the docs."""

from __future__ import annotations

from mle_regression.diagnostics.residual_tests.base import Diagnostic
from mle_regression.diagnostics.residual_tests.breusch_pagan import BREUSCH_PAGAN
from mle_regression.diagnostics.residual_tests.durbin_watson import DURBIN_WATSON
from mle_regression.diagnostics.residual_tests.goldfeld_quandt import GOLDFELD_QUANDT
from mle_regression.diagnostics.residual_tests.jarque_bera import JARQUE_BERA
from mle_regression.diagnostics.residual_tests.ljung_box import LJUNG_BOX
from mle_regression.diagnostics.residual_tests.omnibus import OMNIBUS
from mle_regression.diagnostics.residual_tests.predictive_failure import PREDICTIVE_FAILURE
from mle_regression.diagnostics.residual_tests.rainbow import RAINBOW
from mle_regression.diagnostics.residual_tests.reset import RESET
from mle_regression.diagnostics.residual_tests.white import WHITE

DIAGNOSTICS: dict[str, Diagnostic] = {
    "jarque_bera": JARQUE_BERA,
    "omnibus": OMNIBUS,
    "breusch_pagan": BREUSCH_PAGAN,
    "white": WHITE,
    "goldfeld_quandt": GOLDFELD_QUANDT,
    "durbin_watson": DURBIN_WATSON,
    "ljung_box": LJUNG_BOX,
    "reset": RESET,
    "rainbow": RAINBOW,
    "predictive_failure": PREDICTIVE_FAILURE,
}
