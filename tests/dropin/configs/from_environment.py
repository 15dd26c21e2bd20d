"""Settings by variables of a prefix of the user's own."""

import os

for name, value in list(os.environ.items()):
    if name.startswith("SHOP_SET_"):
        locals()[name.removeprefix("SHOP_SET_").lower()] = int(value) if value.isdigit() else value
