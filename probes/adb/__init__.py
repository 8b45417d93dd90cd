"""A phone behind an adb server: server, transport, session, target."""
