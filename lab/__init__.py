"""Many reports: collected, compared, counted, and turned into lists that apps and stores use.

Everything here works on report files, so that it can be done again years later without a phone.
"""
