"""The plan's targets, over worlds from a prior that was written down before anything was tried in them."""
