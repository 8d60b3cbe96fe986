"""What ``nyx-learning evaluate`` does beyond judging: choosing rows and candidates, searching, the report."""
