"""What goes wrong in a policy, told in the operator's log: without it, nobody would hear more than that it failed."""

import functools
import traceback

from componentize_py_types import Err
from wit_world.imports import log


def told(answer):
    """Has an answer that fails say why, and where, before it does."""

    @functools.wraps(answer)
    def answering(*asked):
        try:
            return answer(*asked)
        except Err:
            # An answer like any other: what is wrong with the settings.
            raise
        except Exception as error:
            # Lines of the source cannot be shown: there are no files.
            frames = list(traceback.walk_tb(error.__traceback__))[1:]
            places = [f"{it.f_code.co_name} ({it.f_code.co_filename}:{line})" for it, line in reversed(frames)]
            log.log(log.Level.ERROR, f"{type(error).__name__}: {error}; in {', called by '.join(places)}")
            raise

    return answering
