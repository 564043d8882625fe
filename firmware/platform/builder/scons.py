"""Starts the pip package ``scons``; PlatformIO runs this where it would run its own tool-scons."""

import sys

if __name__ == "__main__":
    # this file's folder is first on the path and would be taken for the package on a file system without case
    sys.path.pop(0)
    import SCons.Script

    SCons.Script.main()
