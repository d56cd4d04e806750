"""Room: what the log is worth beside the class that its first users hold, in one run on one real server.

    __main__   the command: which rows, how long, where the journals lie
    rows       the table: what is compared with what, what is wanted of it
    rounds     contestants take turns, each round in a process of its own; medians and spreads
    arena      what they share: the server, the slow network, a fresh journal for each round
    players    an add and a read of both sides, and what the server really holds
    work_*     what one round does, from its first call to the proof that nothing is missing
    report     the table on the screen and the JSON;  plot  the picture
    cassandra  the same beside their Cassandra class: `python -m bench.cassandra`, and its arena, rows and work

Rules:
* A ratio is of two medians of one run, whose rounds were interleaved; never of numbers from two runs.
* A round that left anything out of the server, or put it there twice, ends the run: a broken path cannot
  look fast.
* What is timed is named in the docstring of the function that times it; all else is outside of the window.
"""
