"""Validation of untrusted zip archives before anything is read from them."""

import re
import zipfile

MAX_MEMBER = 1000  # bytes of a record such as version or byteorder


def is_bounded(archive: zipfile.ZipFile, size: int) -> bool:
    """Return whether reading all members of an archive of ``size`` bytes takes no more memory than that.

    It does if nothing is compressed, encrypted or stored twice, which holds for ``torch.save`` and ``numpy.savez``.
    """
    members = archive.infolist()
    plain = all(
        member.compress_type == zipfile.ZIP_STORED
        and member.compress_size == member.file_size
        and not member.flag_bits & 1  # encrypted
        for member in members
    )
    distinct = len({member.filename for member in members}) == len(members)
    return plain and distinct and sum(member.file_size for member in members) <= size


def has_torch_layout(archive: zipfile.ZipFile, data: bytes) -> bool:
    """Return whether an archive in memory is laid out as by ``torch.save``: one folder of known members.

    The first member begins at the first byte: ``torch.load`` reads a pickle placed before an archive as the legacy
    format. Besides the pickle and the storages there may be short records only.
    """
    members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    if not members or members[0].header_offset != 0 or not data.startswith(b"PK\3\4"):
        return False
    prefix = members[0].filename.partition("/")[0]
    for member in members:
        folder, _, name = member.filename.partition("/")
        stored = name == "data.pkl" or re.fullmatch(r"data/[0-9]{1,9}", name)
        record = re.fullmatch(r"\.?[a-z_]+|\.data/[a-z_]+", name) and member.file_size <= MAX_MEMBER
        if folder != prefix or not (stored or record):
            return False
    return True
