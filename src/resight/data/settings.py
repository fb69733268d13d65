"""The settings that name a data set, for every command that reads one."""

from __future__ import annotations

from dataclasses import dataclass

from resight.data.catalog import folder_settings
from resight.data.folder import FolderSettings


@dataclass(frozen=True)
class DataSettings:
    """The data set that a command reads.

    Attributes:
        data: The data set: `name=PATH` or a path.
        layout: The levels of sub-folders in a folder of crops, such as `person/camera`. From the root down, levels are
            `camera`, `person`, `tracklet`, `split`, or `-` for a level without meaning; `none` gives no level a
            meaning. Empty detects the layout and prints it.
        pattern: A regular expression for the paths in a folder of crops. Its groups, such as `(?P<camera>cam[0-9]+)`,
            are `person`, `camera`, `tracklet`, `frame` and `split`.
    """

    data: str = ""
    layout: str = ""
    pattern: str = ""

    def folder_settings(self, *specs: str) -> FolderSettings | None:
        """Return the settings for reading folders of crops; None if neither ``layout`` nor ``pattern`` is set.

        Args:
            specs: Further data sets that the command reads, as for `resight.data.catalog.parse_spec`; empty for none.

        Raises:
            ConfigError: One of the two is set, but no data set is a folder of crops, or it cannot be parsed.
        """
        return folder_settings(self.layout, self.pattern, self.data, *specs)
