"""How a program ends: 0 done, 2 an error the user can mend, 130 and 143 interrupted."""

from __future__ import annotations

import errno
import logging
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from twinfolio.errors import TwinfolioError
from twinfolio.logging import rank

logger = logging.getLogger(__name__)

# no space, read-only file system, quota, no permission
_USER_ERRORS = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM)


def exit_code(run: Callable[[], None]) -> int:
    """Run, and turn errors a user can mend into one line on standard error; the others keep their traceback.

    SIGTERM ends the program in order too: it becomes ``SystemExit(143)``.

    Args:
        run: The whole program.
    """
    signal.signal(signal.SIGTERM, _terminated)
    try:
        run()
    except TwinfolioError as error:
        return _complain(str(error))
    except OSError as error:
        if error.errno not in _USER_ERRORS:
            raise
        return _complain(f"{error.filename or 'a file'}: {error.strerror}; make room, or make it writable")
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except SystemExit as error:
        # Lightning answers Ctrl-C with exit(1)
        return 128 + signal.SIGINT if isinstance(error.__context__, KeyboardInterrupt) else _status(error)
    return 0


def _terminated(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def _status(error: SystemExit) -> int:
    """The exit status inside a SystemExit."""
    return error.code if isinstance(error.code, int) else int(error.code is not None)


def _complain(line: str) -> int:
    """Say in one line what is wrong; ranks other than zero say it with their number."""
    if rank() == 0:
        print(f"twinfolio: {line}", file=sys.stderr)
    else:
        logger.error("%s", line)
    return 2
