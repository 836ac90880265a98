# SPDX-License-Identifier: MIT
"""tests/field: what any machine can say of the files that people have. `make check-field` runs them on podman."""
import pytest

from tests.conftest import note, require_programs
from tests.lab import field


@pytest.fixture(scope="module", name="checked")
def checked_fixture():
    """[(case, what secbox-fleet check says of it)]"""
    require_programs("secbox-fleet")
    return [(case, case.check()) for case in field.cases()]


def test_there_are_many_and_each_says_what_it_comes_to(checked):
    assert len(checked) >= 120
    for case, _ in checked:
        assert set(case.expect) <= field.WORDS, case.name
        assert sum(word in case.expect for word in ("refused", "box_refuses", "show", "missing", "offline")) > 0, case.name
        assert ("why" in case.expect) == ("refused" in case.expect or "box_refuses" in case.expect), case.name


def test_what_ought_to_be_accepted_is(checked):
    wrong = [(case.name, said["errors"]) for case, said in checked
             if not said["ok"] and not {"refused", "missing"} & set(case.expect)]
    assert wrong == []
    good = [case for case, _ in checked if not {"refused", "box_refuses"} & set(case.expect)]
    note(f"field: {sum(said['ok'] for case, said in checked if case in good)} of {len(good)} files that ought to be accepted are")


def test_what_ought_to_be_refused_is_and_says_why(checked):
    wrong = [(case.name, said["errors"]) for case, said in checked if "refused" in case.expect and
             case.expect["refused"] not in [error["id"] for error in said["errors"]]]
    assert wrong == []
    assert [(case.name, error) for case, said in checked for error in said["errors"] if not error.get("line")
            and error["id"] not in ("gather.conflict",)] == [], "and in which line"


def test_the_policy_has_to_allow_just_what_is_expected(checked):
    wrong = [(case.name, said["policy"].get("allowing")) for case, said in checked
             if said["ok"] and "missing" not in case.expect and said["policy"].get("allowing") != case.policy()]
    assert wrong == []


def test_which_engine_a_file_needs_is_said(checked):
    wrong = [(case.name, said.get("podmanCompose")) for case, said in checked if said["ok"] and "missing" not in case.expect
             and ("podmanCompose" in said) != (case.expect.get("engine") == "libpod")]
    assert wrong == []
