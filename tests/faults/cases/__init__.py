"""Every case, in the order of the table."""

from tests.faults.cases.arbiter import ARBITER
from tests.faults.cases.clients import CLIENTS
from tests.faults.cases.crashes import CRASHES
from tests.faults.cases.drain import DRAIN
from tests.faults.cases.recycling import RECYCLING
from tests.faults.cases.reload import RELOAD
from tests.faults.cases.resources import RESOURCES
from tests.faults.cases.stuck import STUCK
from tests.faults.cases.upgrade import UPGRADE

CASES = (*RELOAD, *UPGRADE, *RECYCLING, *CRASHES, *ARBITER, *STUCK, *DRAIN, *RESOURCES, *CLIENTS)
