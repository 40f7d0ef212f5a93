"""Exports and checks many checkpoints: on worker processes of this machine, or on a Dask cluster.

``sources`` finds the files, ``plan`` decides what is left to do, ``executors`` has it done, ``running`` does one file
in a worker, ``manifest`` records what became of it, ``overview`` and ``columns`` show all of it.
"""
