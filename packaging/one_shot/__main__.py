"""What runs first in `evidenced.pyz`: choose the Python, shut out the environment, and start the program.

It parses on any Python from 3.6 on, so that an old one can step aside for a newer one, or say what is missing. Until
the process is isolated it imports nothing but what is built into the interpreter, since anything else could be a
stranger's: a module of the working folder, or of PYTHONPATH.
"""

import posix
import sys

MINORS = range(10, 15)
"""Pythons 3.N whose compiled parts are in the file."""

PROGRAMS = "/usr/bin"
COULD_NOT_RUN = 3


def main() -> int:
    """Run the program and return its exit code."""
    minor_here = sys.version_info[1]
    if minor_here not in MINORS:
        for minor in reversed(MINORS):
            again(f"{PROGRAMS}/python3.{minor}")  # comes back only if there is none
        return complain(
            f"expected Python 3.{MINORS[0]} to 3.{MINORS[-1]} in {PROGRAMS}, found 3.{minor_here}; "
            "install one, such as python3.12"
        )
    flags = sys.flags
    if not (flags.isolated and flags.no_site and flags.dont_write_bytecode):
        again(sys.executable)
        return complain(f"{sys.executable}: expected a Python to start again with -IBS, found none")
    return start()


def again(python: str) -> None:
    """Become another Python, isolated, that runs this file; return if there is no such program."""
    try:
        posix.execv(python, [python, "-IBS", *sys.argv])
    except OSError:
        return


def complain(text: str) -> int:
    """Say why nothing is run and return the exit code."""
    sys.stderr.write(f"evidenced: {text}\n")
    return COULD_NOT_RUN


def start() -> int:
    """Import the program from this file and run it."""
    import os  # noqa: PLC0415  only now is it certain to be the standard library's

    archive = os.path.realpath(sys.path[0])
    sys.path[0] = archive  # it was relative to the working folder, which need not stay
    import compiled_parts  # noqa: PLC0415  as above

    try:
        compiled_parts.install(archive)
        from program.interrupts import end_quietly  # noqa: PLC0415  as above

        end_quietly()
        from agent.one_shot.main import main as command_line  # noqa: PLC0415  takes a while: somebody may press Ctrl-C
        from agent.process import start as begin  # noqa: PLC0415
    except compiled_parts.NoPlaceError as error:
        return complain(str(error))

    def run(arguments: "list[str]") -> int:
        try:
            return command_line(arguments)
        except compiled_parts.NoPlaceError as error:  # what is compiled is loaded when a command needs it
            return complain(str(error))

    return begin(run)


if __name__ == "__main__":
    sys.exit(main())
