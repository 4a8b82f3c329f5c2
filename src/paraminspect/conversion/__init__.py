"""One checkpoint as another file: what becomes of each tensor, where its bytes go, and whether they have arrived.

plan     which tensors, under which names, in which types
outline  the same for a kind of file
bytes    the bytes of each, copied or computed a piece at a time
verify   what was written, read back
"""
