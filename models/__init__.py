"""Models of what threads do, and what checks them."""
