"""gemmafit: will Gemma run on this Android phone, on which backend, with which model file?"""

__version__ = "0.1.0"
