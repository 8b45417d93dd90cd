"""Pages for people: self-contained HTML of reports, comparisons, matrices and lab runs.

No script, no font or image from elsewhere; light and dark by the reader's setting; printable.
"""
