"""Old names of renamed settings on the command line."""

import re
import sys
from collections.abc import Mapping, Sequence

from nas.core.errors import InputError
from nas.core.terminal import print_lines

_OVERRIDE = re.compile(r"(?P<prefix>\+{1,2}|~|)(?P<key>[^=@+~-][^=@]*)(?P<value>[=@].*|)", re.DOTALL)


def rename_overrides(arguments: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """Return command line ``arguments`` with old keys renamed, one line on stderr for each; options are kept.

    ``names`` maps old dotted keys to new ones; a key may be a setting or a whole group. Raises :class:`InputError` if
    the old and the new key are both given, with different values.
    """
    given = {match["key"]: match["value"] for match in map(_OVERRIDE.fullmatch, arguments) if match and match["value"]}
    return [_rename(argument, names, given) for argument in arguments]


def _rename(argument: str, names: Mapping[str, str], given: Mapping[str, str]) -> str:
    match = _OVERRIDE.fullmatch(argument)
    if match is None or not (match["value"] or match["prefix"] == "~"):
        return argument
    old, value = match["key"], match["value"]
    for group, renamed in names.items():
        if old == group or old.startswith(f"{group}."):
            new = renamed + old[len(group) :]
            if value and given.get(new, value) != value:
                raise InputError(f"{old}{value}: is now {new}, which is set to {given[new][1:]}; leave {old} out")
            print_lines(f"{old}{value} is now {new}{value}", file=sys.stderr)
            return f"{match['prefix']}{new}{value}"
    return argument
