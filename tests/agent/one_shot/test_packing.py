"""What is done before a key is made."""

from __future__ import annotations

import os
import resource

from agent.one_shot import packing


def test_the_kernel_is_to_write_no_core_of_a_process_that_holds_a_key() -> None:
    child = os.fork()
    if child == 0:
        packing._leave_no_core()
        soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        os._exit(0 if soft == hard and soft in (0, 1) else 1)
    assert os.waitpid(child, 0)[1] == 0
