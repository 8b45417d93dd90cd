"""Many phones run, many reports collected, compared, counted, and turned into lists for apps and stores.

What is done with reports works on their files, so that it can be done again years later without a phone.
"""
