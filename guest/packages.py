"""Packages that are kept in the snapshot beside the standard library: none in the built-in guest.

Where a guest is built with packages, this file is written anew.
"""

# Modules that are imported while the guest is built. What they bring along and do not import themselves is kept, too.
MODULES: tuple = ()
