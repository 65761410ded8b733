"""A Python kernel: ipykernel's own launcher, but found where the image has it, whatever a file of that name in the folder holds.

IPython puts that folder on the path again, behind Python's own modules.
"""
import sys

if __name__ == "__main__":
    del sys.path[0]

    from ipykernel import kernelapp

    kernelapp.launch_new_instance()
