"""What a zip archive from a stranger is looked over for, before anything is read out of it."""

import pickletools
import re
import zipfile

MAX_PICKLE = 64_000_000  # bytes: the plan of a checkpoint, without its tensors; DARTS' supernet has 2 MB
# All that a checkpoint of ours names. torch itself would also take bytearray, which can ask for any amount of memory.
NAMED = re.compile(r"collections OrderedDict|torch._utils _rebuild_(tensor_v2|parameter)|torch(\.storage)? \w+Storage")


def is_bounded(archive: zipfile.ZipFile, size: int) -> bool:
    """Whether reading every member of an archive of ``size`` bytes takes no more memory than that.

    So it is where nothing is compressed, encrypted or stored twice, as ``torch.save`` and ``numpy.savez`` write them.
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


def holds_only_tensors(archive: zipfile.ZipFile) -> bool:
    """Whether what ``torch.save`` wrote names tensors and ordered dicts only. Nothing is run.

    Raises what :mod:`zipfile` and :mod:`pickletools` raise where there is no such plan in the archive, or a broken one.
    """
    (plan,) = [member for member in archive.infolist() if member.filename.endswith("/data.pkl")]
    if plan.file_size > MAX_PICKLE:
        return False
    names = [argument for code, argument, _ in pickletools.genops(archive.read(plan)) if code.name == "GLOBAL"]
    return all(NAMED.fullmatch(str(name)) for name in set(names))
