"""Names with an underscore are refused."""

header_map = "refuse"
