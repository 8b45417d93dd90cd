"""The only place that decides: snapshot, measurements and knowledge in, a report out."""
