"""Stands for a library whose connections must not be shared by processes."""

import os


class Engine:
    def __init__(self):
        self.owner = os.getpid()

    def dispose(self):
        self.owner = os.getpid()


engine = Engine()
