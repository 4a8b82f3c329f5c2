"""Where files are: on this machine, or on a server. The one door through which all others open, measure and list.

A path with a scheme (`https://`, `hf://`, `s3://`, `gs://`) names a place far away, of which only the ranges that are
asked for are fetched. Nothing of that is imported for a path without one.
"""
