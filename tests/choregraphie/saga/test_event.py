"""What every event has cannot be the name of a field of its data."""

from typing import ClassVar

import pytest

from choregraphie.saga.envelope import Event


@pytest.mark.filterwarnings("ignore:Field name:UserWarning")
@pytest.mark.parametrize("name", ["key", "instance"])
def test_a_field_that_would_hide_what_every_event_has_is_refused(name: str) -> None:
    declared = {"__annotations__": {name: str, "SAGA": ClassVar[str]}, "SAGA": "essai", "KEY": name}
    with pytest.raises(TypeError, match=f"Malnomme: a field cannot be named {name}, which every event has"):
        type("Malnomme", (Event,), {"__module__": __name__, **declared})
