"""The command line speaks under the name of the application that it is given."""

from dataclasses import replace

import pytest

from choregraphie.cli.main import main
from services.application import APP

OTHER = replace(APP, name="boutique", command="boutique")


@pytest.mark.parametrize("command", [[], ["choreography"], ["choreography", "simulate"], ["journal"], ["ready"]])
def test_help_names_the_application(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(OTHER, [*command, "--help"])
    shown = capsys.readouterr().out
    assert "usage: boutique" in shown
    assert "python -m services" not in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["journal"],
        ["choreography", "generate", "--into", "/dev/null"],
        ["journal", "CMD-1", "--open"],
    ],
    ids=" ".join,
)
def test_an_error_names_the_application(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(OTHER, arguments)
    except SystemExit as left:
        code = int(str(left.code))
    assert code == 2
    assert capsys.readouterr().err.startswith("boutique: ")
