"""Runs a command as on a file system without locks: python no_flock.py ERRNO COMMAND..

The kernel answers its calls of flock(2), and those of all that it starts, with that error, as
Lustre does without -o flock (ENOSYS, 38) and NFS without lockd (ENOLCK, 37).
"""

import ctypes
import platform
import struct
import subprocess
import sys

_FLOCK = {"x86_64": 73, "aarch64": 32}
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2  # prctl(2)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse(error: int) -> None:
    """Let flock(2) fail with `error` from now on, here and in every process started from here."""
    instructions = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in (
            (0x20, 0, 0, 0),  # load the number of the call
            (0x15, 0, 1, _FLOCK[platform.machine()]),  # is it flock?
            (0x06, 0, 0, 0x00050000 | error),  # fail
            (0x06, 0, 0, 0x7FFF0000),  # go on
        )
    )
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(instructions) // 8, instructions)
    for words in ((_NO_NEW_PRIVILEGES, 1, 0), (_SECCOMP, _FILTER, ctypes.byref(program))):
        if libc.prctl(*words, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl refuses")


if __name__ == "__main__":
    refuse(int(sys.argv[1]))
    sys.exit(subprocess.call(sys.argv[2:]))
