"""Many recordings: what is to be done, what was done, and the processes that do it.

- `plan`: from what the user named to a `Job` for each recording.
- `journal`: what batches began and finished in a folder.
- `pool`: a process for each job, a few at a time. They speak JSON lines.
- `cluster`: the same on the nodes of a Ray cluster.
- `summary`: a table of what came of each recording.
"""
