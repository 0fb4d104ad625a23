"""The gallery: each example runs, without a warning, and holds what it claims; the picture of README is made by one."""

import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib, the extra 'plot'")
import matplotlib as mpl
import matplotlib.pyplot as plt
from drawn_displays import faults

EXAMPLES = Path(__file__).parent.parent / "examples"
GALLERY = sorted(EXAMPLES.glob("plot_*.py"))


@pytest.fixture(autouse=True)
def agg():
    mpl.use("agg")
    yield
    plt.close("all")


def run(path, monkeypatch, *arguments):
    """Run an example as a script, and return what it has drawn."""
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
    monkeypatch.setattr(plt, "show", lambda: None)
    runpy.run_path(str(path), run_name="__main__")
    return [plt.figure(number) for number in plt.get_fignums()]


def test_there_is_a_gallery():
    assert len(GALLERY) >= 7


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_an_example_holds_what_it_claims(path, monkeypatch, tmp_path):
    picture = tmp_path / "picture.png"
    figures = run(path, monkeypatch, picture)
    assert len(figures) == 1
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert not faults(figures[0])


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_an_example_is_one_claim_in_the_form_of_a_gallery(path):
    text = path.read_text()
    title = text.split("\n")[1:3]
    assert text.startswith('"""\n')
    assert title[1] == "=" * len(title[0])
    assert text.count("\n# %%\n") >= 2
    assert "\nassert " in text


def test_the_picture_of_the_readme_is_there():
    assert (EXAMPLES.parent / "docs" / "images" / "bowl_and_valley.png").exists()
