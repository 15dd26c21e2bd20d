# The one way bytes from a peer are touched: a pointer that knows where its bytes end.
