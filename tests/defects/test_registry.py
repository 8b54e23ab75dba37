"""Every defect of the original has its attack here, and the page about them says which."""

from pathlib import Path

from given import defects

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "defects.md"


def test_every_defect_of_the_original_has_one_test():
    defects.load()

    assert (len(defects.MONEY), len(defects.STATE_IDENTITY_SCORES), len(defects.ORIGINAL)) == (32, 25, 57)
    assert defects.SHOWN.keys() == defects.ORIGINAL.keys() - defects.WAITING
    assert len({(shown.file, shown.test) for shown in defects.SHOWN.values()}) == len(defects.SHOWN)


def test_every_test_of_an_attack_names_its_defect():
    defects.load()
    marked = {(shown.file, shown.test) for shown in defects.SHOWN.values()}

    found = {
        (f"tests/defects/{file.name}", line.removeprefix("def ").partition("(")[0])
        for name in defects.TESTS
        for file in [Path(__file__).parent / f"test_{name}.py"]
        for line in file.read_text().splitlines()
        if line.startswith("def test_")
    }

    assert found == marked


def test_the_page_about_the_defects_is_fresh():
    assert PAGE.read_text() == defects.page(), "run `.venv/bin/python docs/generate.py`"
