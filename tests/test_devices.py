"""Where things run."""

from __future__ import annotations

import pytest

from resight.devices import Devices, DeviceSettings


def test_training_and_extraction_are_bfloat16_where_the_processor_computes_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    devices = Devices(DeviceSettings(accelerator="cpu"))
    for has, precision in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr("resight.devices.cpu_has_bfloat16", lambda has=has: has)
        assert (devices.precision("training"), devices.precision("inference")) == (precision, precision)
