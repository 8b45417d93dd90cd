"""The rules: one module per question. Each function takes a case and returns checks; none knows a vendor.

loads.py    can the engine's library and the backend be loaded by an app?
fits.py     is there memory, storage and a large enough buffer?
correct.py  are the numbers right, here and in reports from elsewhere?
speed.py    fast enough, and better than the alternative?
"""
