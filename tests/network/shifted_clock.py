"""Moves the clock of one running process that is not a Python program, such as a ledger node.

A program reads the time not with a system call but through code that the kernel maps into it, the vDSO. `ShiftedClock`
overwrites that code, in one process and before the program's first instruction. The new code makes the system call and
adds an offset to the seconds of the real time. CLOCK_MONOTONIC, which measures spans, is not affected, just as when an
operator sets a clock. Programs that the process executes have the machine's clock again.

This needs Linux on x86-64 and permission to trace a process, as a debugger does (ptrace(2), proc(5), vdso(7)).
"""

import ctypes
import os
import platform
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

_TRACE_ME, _DETACH = 0, 17  # requests of ptrace(2)
_VDSO, _AUXILIARY = 33, struct.Struct("=QQ")  # AT_SYSINFO_EHDR, and the entries it is among: getauxval(3)
_LARGEST_VDSO = 64 * 1024
_OFFSET_S = struct.Struct("=i")

# Replacements of the vDSO's functions, in the calling convention of C: arguments in RDI and RSI, the result in RAX. A
# system call changes only RAX, RCX and R11, which a function may change too. `offset`: four bytes, seconds.
_CODE = {
    # int clock_gettime(clockid_t, struct timespec *)
    "__vdso_clock_gettime": [
        "b8 e4 00 00 00",  # mov eax, 228
        "0f 05",  # syscall
        "85 ff",  # test edi, edi: CLOCK_REALTIME is 0
        "75 07",  # jnz to the end
        "48 81 06 offset",  # add qword [rsi], offset
        "c3",  # ret
    ],
    # int gettimeofday(struct timeval *, struct timezone *)
    "__vdso_gettimeofday": [
        "b8 60 00 00 00",  # mov eax, 96
        "0f 05",  # syscall
        "48 85 ff",  # test rdi, rdi: the zone alone may be asked for
        "74 07",  # jz to the end
        "48 81 07 offset",  # add qword [rdi], offset
        "c3",  # ret
    ],
    # time_t time(time_t *)
    "__vdso_time": [
        "b8 c9 00 00 00",  # mov eax, 201
        "0f 05",  # syscall
        "48 05 offset",  # add rax, offset
        "48 85 ff",  # test rdi, rdi: the answer may be wanted there as well
        "74 03",  # jz to the end
        "48 89 07",  # mov [rdi], rax
        "c3",  # ret
    ],
}


class ClockUnavailable(Exception):
    """The clock of a process cannot be moved here; the text says why."""


def held(command: Sequence[str]) -> list[str]:
    """The command that starts `command` and stops it before its first instruction, for `ShiftedClock`.

    Raises: ClockUnavailable on another system or processor.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise ClockUnavailable(
            f"clocks can be moved only on Linux on x86-64, this is {sys.platform}, {platform.machine()}"
        )
    return [sys.executable, __file__, *command]


class ShiftedClock:
    """The clock of a process that was started with `held`. It is right unless it is moved."""

    def __init__(self, pid: int, by_ms: int = 0) -> None:
        """Move the clock of the stopped process and let it run. Call this in the thread that started it, its tracer.

        Raises: ClockUnavailable, and the process has ended.
        """
        self._memory = Path(f"/proc/{pid}/mem")
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            raise ClockUnavailable("the process cannot be traced, or its program cannot be started: see its log")
        try:
            self._offsets_at = [self._replace(name, at, size) for name, at, size in _functions(pid)]
            self.move(by_ms)
            _ptrace(_DETACH, pid)
        except (OSError, ClockUnavailable) as error:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise ClockUnavailable(f"the kernel's clock in a process cannot be replaced: {error}") from error

    def move(self, by_ms: int) -> None:
        """Set it ahead of the machine's clock, or behind where negative, by whole seconds, up to 68 years.

        Raises: ValueError for less than a second; OSError where the process has ended.
        """
        seconds, rest = divmod(by_ms, 1000)
        if rest:
            raise ValueError(f"a clock is moved by whole seconds, not by {by_ms} ms")
        for address in self._offsets_at:
            self._write(address, _OFFSET_S.pack(seconds))

    def _replace(self, name: str, address: int, size: int) -> int:
        """Overwrite a function. Returns: the address of its offset."""
        before, after = (bytes.fromhex(part) for part in " ".join(_CODE[name]).split("offset"))
        code = before + _OFFSET_S.pack(0) + after
        if len(code) > size:
            raise ClockUnavailable(f"{name} has {size} bytes, {len(code)} are needed")
        self._write(address, code)
        return address + len(before)

    def _write(self, address: int, content: bytes) -> None:
        with self._memory.open("r+b", buffering=0) as memory:
            memory.seek(address)
            memory.write(content)


def _functions(pid: int) -> list[tuple[str, int, int]]:
    """The functions of `_CODE` in a process: name, address, size."""
    entries = dict(_AUXILIARY.iter_unpack(Path(f"/proc/{pid}/auxv").read_bytes()))
    if _VDSO not in entries:
        raise ClockUnavailable("the kernel maps no vDSO")
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(entries[_VDSO])
        symbols = ELFFile(BytesIO(memory.read(_LARGEST_VDSO))).get_section_by_name(".dynsym")
    if not isinstance(symbols, SymbolTableSection):
        raise ClockUnavailable("the kernel's vDSO has no table of symbols")
    found = []
    for name in _CODE:
        symbol = next(iter(symbols.get_symbol_by_name(name) or ()), None)
        if symbol is None:
            raise ClockUnavailable(f"the kernel's vDSO has no {name}")
        found.append((name, entries[_VDSO] + symbol["st_value"], symbol["st_size"]))
    return found


def _ptrace(request: int, pid: int = 0) -> None:
    """Raises: OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), None, None) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def why_not() -> str | None:
    """Why a clock cannot be moved here, in one line; None where it can. Found by trying."""
    try:
        trial = subprocess.Popen(held(["/bin/true"]), stderr=subprocess.DEVNULL)
        ShiftedClock(trial.pid)
        trial.wait()
    except ClockUnavailable as error:
        return str(error)
    return None


if __name__ == "__main__":
    _ptrace(_TRACE_ME)
    os.execvp(sys.argv[1], sys.argv[1:])
