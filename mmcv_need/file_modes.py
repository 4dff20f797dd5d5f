"""Who may read what a command line writes: its user, who may change it, and their group (640; folders 750).

A checkpoint has the config in it, a log the machine, a result what is in the pictures. torch_npu advises these
modes. A umask says so once, for all that this process and those that it starts write, whoever writes it.
"""
from __future__ import annotations

import os
import re

from mmcv_need.errors import UserError

VARIABLE = 'SSD_UMASK'  # a umask in octal digits, which is then taken as it is: 022 lets everybody read, 002 the group write
MASK = 0o027


def keep_private() -> None:
    """Set the umask of this process: what SSD_UMASK says; else the user's own, tightened to 027 and never loosened.

    Raises:
        UserError: SSD_UMASK is no umask.
    """
    wanted = os.environ.get(VARIABLE, '')
    if wanted and not re.fullmatch('0?[0-7]{3}', wanted):
        raise UserError(f'{VARIABLE}: expected three octal digits of a umask, such as 027 or 022, not {wanted!r}')
    before = os.umask(0o777)  # there is no other way to ask
    os.umask(int(wanted, 8) if wanted else before | MASK)
