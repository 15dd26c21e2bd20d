# Nothing for Python: what this module has is declared in its .pxd file.
